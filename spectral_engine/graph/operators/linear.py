"""Gemm, MatMul and Einsum."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder, Product, Transfer
from spectral_engine.graph.factored import Factored
from spectral_engine.graph.ids import NodeIds
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import ids_or_fresh
from spectral_engine.graph.operators.fused_attention import ATTENTION
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node

MATRIX = 2  # axes


def gemm(node: Node, mode: Mode) -> Function:
    """alpha · A' B' + beta · C; the plain cases take torch's fused path."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    left_turned, right_turned = bool(node.get("transA", 0)), bool(node.get("transB", 0))
    fused = alpha == 1.0 and beta == 1.0 and not left_turned

    def function(a: Tensor, b: Tensor | Factored, c: Tensor | None = None) -> Tensor:
        if isinstance(b, Factored):
            return b.linear(a, c)
        if a.dim() != MATRIX:
            raise ValueError(f"A has {a.dim()} axes, not {MATRIX}")
        if fused and (c is None or c.dim() == 1):
            return F.linear(a, b if right_turned else b.t(), c)
        product = (a.t() if left_turned else a) @ (b.t() if right_turned else b)
        product = product if alpha == 1.0 else alpha * product
        return product if c is None else product + beta * c

    return function


def matmul(node: Node, mode: Mode) -> Function:
    """As numpy's matmul."""
    return lambda a, b: b.linear(a) if isinstance(b, Factored) else torch.matmul(a, b)


def _gemm_factors(node: Node, position: int) -> bool | None:
    """[out, in] where B is turned; the weight must be whole where anything but B is turned or scaled."""
    plain = node.get("alpha", 1.0) == node.get("beta", 1.0) == 1.0 and not node.get("transA", 0)
    return bool(node.get("transB", 0)) if plain and position == 1 else None


def _matmul_factors(node: Node, position: int) -> bool | None:
    """[in, out] on the right; on the left the weight must be whole."""
    return False if position == 1 else None


def einsum(node: Node, mode: Mode) -> Function:
    """A sum of products, spelled by letters."""
    equation = node.get("equation", "").replace(" ", "")
    return lambda *values: torch.einsum(equation, *values)


def gemm_coupling(node: Node, book: CouplingRecorder) -> None:
    """A transfer where one operand is an initializer, turned or not."""
    left, right, output = node.input(0), node.input(1), node.outputs[0]
    if min(len(book.shapes[left]), len(book.shapes[right])) < 2:
        raise node.unsupported("it multiplies matrices, and one operand is a vector")
    left_in = 0 if node.get("transA", 0) else 1
    right_out = 0 if node.get("transB", 0) else 1
    bias = node.input(2) if node.has_input(2) else None
    if book.is_weight(right):
        ends, out_axis = (1 - right_out, right_out), 1
        ids = linear_map(node, book, left, left_in, right, ends, out_axis, bias)
    elif book.is_weight(left):
        ends, out_axis = (left_in, 1 - left_in), 0
        ids = linear_map(node, book, right, 1 - right_out, left, ends, out_axis, bias)
    else:
        _contract(node, book, left_in, 1 - right_out)
        book.write(output, (book.axis(left, 1 - left_in), book.axis(right, right_out)))
        if bias is not None:
            book.pin_value(output, "meets a bias that no transfer owns")
        return
    if bias is not None:
        shape = book.shapes[bias]
        out_position = len(shape) - 2 + out_axis
        bias_axes = (
            ids if axis == out_position and n > 1 else None for axis, n in enumerate(shape)
        )
        book.attach(bias, tuple(bias_axes))


def matmul_coupling(node: Node, book: CouplingRecorder) -> None:
    """A transfer where one operand is an initializer; else a sum over what both hold along one axis."""
    left, right = node.input(0), node.input(1)
    ranks = len(book.shapes[left]), len(book.shapes[right])
    if min(ranks) < 2:
        book.pin_value(left, "is multiplied with a vector")
        book.pin_value(right, "is multiplied with a vector")
    elif book.is_weight(right):
        linear_map(node, book, left, -1, right, (-2, -1), -1, None)
    elif book.is_weight(left):
        linear_map(node, book, right, -2, left, (-1, -2), -2, None)
    else:
        _product(node, book)


def linear_map(
    node: Node,
    book: CouplingRecorder,
    data: str,
    data_axis: int,
    weight: str,
    ends: tuple[int, int],
    out_axis: int,
    bias: str | None,
) -> NodeIds:
    """Record a dense transfer, `ends` being the weight's axes of its in and out nodes; return its output ids."""
    ids_or_fresh(data, book)  # a constant that is multiplied, as a first state, has nodes too
    initializer, order = book.constant(weight) or (weight, tuple(range(len(book.shapes[weight]))))
    in_axis, weight_out = order[ends[0]], order[ends[1]]
    output = node.outputs[0]
    weight_shape = book.shapes[initializer]
    axes: list[NodeIds | None] = [None] * len(weight_shape)
    axes[in_axis] = book.nodes_of(data, data_axis)
    axes[weight_out] = book.fresh(weight_shape[weight_out])
    for axis in range(-len(weight_shape), -2):  # stacked matrices: their axis meets the data's
        data_shape = book.shapes[data]
        if -axis <= len(data_shape) and data_shape[axis] == book.shapes[weight][axis] > 1:
            axes[order[axis]] = book.nodes_of(data, axis)
    book.claim(initializer, tuple(axes))
    ids = book.axis(initializer, weight_out)
    assert ids is not None
    kept = list(book.ids(data)) if len(book.shapes[data]) == len(book.shapes[output]) else None
    output_axes = kept or [None] * len(book.shapes[output])
    output_axes[data_axis] = None
    output_axes[out_axis] = ids
    book.write(output, tuple(output_axes))
    usable = (
        bias
        if bias in book.float_initializers and prod(book.shapes[bias or ""]) == len(ids)
        else None
    )
    book.add_transfer(
        Transfer(
            name=node.name,
            kind="dense",
            weight=initializer,
            out_axis=weight_out,
            in_axis=in_axis,
            bias=usable,
            source=data,
            output=output,
            macs_per_link=book.positions(output, out_axis),
        )
    )
    return ids


def _product(node: Node, book: CouplingRecorder) -> None:
    """Two activations: batch axes meet, the contracted one is summed over the nodes that stay."""
    left, right, output = node.input(0), node.input(1), node.outputs[0]
    contracted = _contract(node, book, -1, -2)
    rank = len(book.shapes[output])
    stacks: list[NodeIds | None] = []
    for axis in range(-rank, -2):
        pair = [
            v for v in (left, right) if -axis <= len(book.shapes[v]) and book.shapes[v][axis] > 1
        ]
        ids = [book.axis(value, axis) for value in pair]
        stacks.append(book.join(ids[0], ids[1]) if len(ids) == 2 else (ids[0] if ids else None))
    axes = (*stacks, book.axis(left, -2), book.axis(right, -1))
    book.write(output, axes)
    terms = [ids for ids in (*axes, contracted) if ids is not None]
    total = prod(book.shapes[output]) * book.shapes[left][-1] // book.batch
    book.products.append(Product(total // prod(len(ids) for ids in terms), tuple(terms)))


def _contract(
    node: Node, book: CouplingRecorder, left_axis: int, right_axis: int
) -> NodeIds | None:
    """Make what is summed over one row of nodes; return its ids."""
    left, right = node.input(0), node.input(1)
    ids = book.join(book.axis(left, left_axis), book.axis(right, right_axis))
    book.mix(node, 0, left_axis, "sum")
    return ids


def einsum_coupling(node: Node, book: CouplingRecorder) -> None:
    """Axes of one letter are one row of nodes; a letter that the result lacks is summed over."""
    equation = node.get("equation", "").replace(" ", "")
    left, _, result = equation.partition("->")
    terms = left.split(",")
    names = [node.input(position) for position in range(len(terms))]
    plain = "." not in equation and "->" in equation and all(len(set(t)) == len(t) for t in terms)
    if not plain:
        for name in names:
            book.pin_value(name, "stands in an einsum that is not spelled out")
        return
    weights = [position for position, name in enumerate(names) if book.is_weight(name)]
    if (
        len(terms) == 2
        and len(weights) == 1
        and _einsum_transfer(node, terms, result, weights[0], book)
    ):
        return
    by_letter: dict[str, NodeIds | None] = {}
    for term, name in zip(terms, names, strict=True):
        for letter, ids in zip(term, ids_or_fresh(name, book), strict=True):
            by_letter[letter] = book.join(by_letter[letter], ids) if letter in by_letter else ids
    for position, term in enumerate(terms):
        for axis, letter in enumerate(term):
            if letter not in result:
                book.mix(node, position, axis, "sum")
    book.write(node.outputs[0], tuple(by_letter[letter] for letter in result))
    sizes = {
        c: n
        for t, name in zip(terms, names, strict=True)
        for c, n in zip(t, book.shapes[name], strict=True)
    }
    node_axes = tuple(ids for ids in by_letter.values() if ids is not None)
    total = prod(sizes.values()) // book.batch // prod(len(ids) for ids in node_axes)
    book.products.append(Product(max(1, total), node_axes))


def _einsum_transfer(
    node: Node, terms: list[str], result: str, position: int, book: CouplingRecorder
) -> bool:
    """Record an einsum of one weight [in, out] as a transfer; say whether it is one."""
    weight, data = terms[position], terms[1 - position]
    summed = [c for c in weight if c in data and c not in result]
    made = [c for c in weight if c not in data and c in result]
    if len(weight) != 2 or len(summed) != 1 or len(made) != 1:
        return False
    (read,), (new,) = summed, made
    source, output = node.input(1 - position), node.outputs[0]
    initializer, order = book.constant(node.input(position)) or ("", ())
    in_axis, out_axis = order[weight.index(read)], order[weight.index(new)]
    axes: list[NodeIds | None] = [None, None]
    axes[in_axis] = book.nodes_of(source, data.index(read))
    axes[out_axis] = book.fresh(book.shapes[initializer][out_axis])
    book.claim(initializer, tuple(axes))
    ids: dict[str, NodeIds | None] = dict(zip(data, book.ids(source), strict=True))
    ids[new] = book.axis(initializer, out_axis)
    book.write(output, tuple(ids.get(c) for c in result))
    book.add_transfer(
        Transfer(
            name=node.name, kind="dense", weight=initializer, out_axis=out_axis, in_axis=in_axis, bias=None,
            source=source, output=output, macs_per_link=book.positions(output, result.index(new)),
        )
    )  # fmt: skip
    return True


register(
    {
        "Gemm": OperatorSpec(
            gemm, gemm_coupling, weights=(0, 1, 2), single_weights=True, factors=_gemm_factors
        ),
        "MatMul": OperatorSpec(
            matmul,
            matmul_coupling,
            weights=(0, 1),
            single_weights=True,
            factors=_matmul_factors,
            arity=2,
            fusion=ATTENTION,
        ),
        "Einsum": OperatorSpec(einsum, einsum_coupling, weights=(0, 1)),
    },
)
