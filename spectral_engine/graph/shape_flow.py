"""Sizes as the graph states them, without a run: each length and each integer is a number for certain, or open.

A number is one only where declared inputs, the operators' own shape inference and the flow of integers leave no choice.
All else has a name, and equal names are equal lengths: what is not decided counts as open.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from spectral_engine.graph.size_inference import Dim, Dims, NodeInference
from spectral_engine.onnx_io.node import Node, Subgraph
from spectral_engine.onnx_io.nodes import named_nodes

Numbers = Mapping[str, NDArray[Any]]  # small integer vectors of one run
Shapes = Mapping[str, tuple[int, ...]]
SAME = {"Identity", "Cast", "Unsqueeze", "Squeeze", "Reshape", "Flatten"}
BY_ENTRY = {"Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "Neg", "Abs"}


class ShapeFlow:
    """Follows sizes and integers through a graph, in the order in which it runs.

    `shapes` and `numbers` are those of one run: what is certain has the value that it had there. `closed` are the
    values that no input changes.
    """

    def __init__(self, model: ir.Model, shapes: Shapes, numbers: Numbers, closed: set[str]) -> None:
        self.shapes, self.numbers, self.closed = shapes, numbers, set(closed)
        self.dims: dict[str, Dims] = {}
        self.entries: dict[str, Dims] = {}
        self.inference = NodeInference(model, numbers)
        self._names = (f"?{count}" for count in itertools.count())
        self._by_name = dict(named_nodes(model))
        for value in model.graph.inputs:
            self._declare(value)

    def open_numbers(self, nodes: Sequence[Node]) -> frozenset[str]:
        """Return the integer vectors of which an entry may depend on an open axis."""
        self.follow(nodes)
        return frozenset(
            name for name in self.numbers if any(isinstance(n, str) for n in self.entries_of(name))
        )

    def follow(self, nodes: Iterable[Node]) -> None:
        """Work out the sizes of all values that these make."""
        for node in nodes:
            self._follow(node)

    def dims_of(self, name: str) -> Dims:
        """Return the length of every axis of a value; those of a constant are certain."""
        known = self.dims.get(name)
        return self.shapes.get(name, ()) if known is None else known

    def entries_of(self, name: str) -> Dims:
        """Return every entry of an integer vector."""
        known = self.entries.get(name)
        if known is not None:
            return known
        return tuple(int(n) for n in self.numbers[name].reshape(-1)) if name in self.numbers else ()

    def named(self, count: int) -> Dims:
        """Return so many open lengths of which nothing is known."""
        return tuple(next(self._names) for _ in range(count))

    def _declare(self, value: ir.Value) -> None:
        """Take an input as the file declares it: a length is certain where it is a number there."""
        name, dims = value.name or "", [] if value.shape is None else [*value.shape]
        traced = self.shapes.get(name, ())
        self.dims[name] = tuple(
            size if isinstance(dim, int) else (dim.value or f"{name}/{axis}")
            for axis, (size, dim) in enumerate(zip(traced, dims, strict=False))
        )
        if name in self.numbers:
            self.entries[name] = self.named(self.numbers[name].size)

    def _follow(self, node: Node) -> None:
        read = [name for name in node.inputs if name is not None]
        has_bodies = any(isinstance(value, Subgraph) for value in node.attributes.values())
        if all(name in self.closed for name in read) and (read or not has_bodies):
            self.closed.update(node.outputs)
            if not has_bodies:
                self._infer(node)  # for its types, which those need that read it
            return
        inferred = None if has_bodies else self._infer(node)
        for position, output in enumerate(node.outputs):
            if output in self.shapes:
                self.dims[output] = self._certain(output, self._lengths(node, position, inferred))
            if output in self.numbers:
                self.entries[output] = self._entries(node, output)

    def _infer(self, node: Node) -> dict[str, Dims]:
        read = [name for name in node.inputs if name is not None]
        sizes = {name: self.dims_of(name) for name in read if name in self.shapes}
        sure = {
            name
            for name in read
            if name in self.numbers and all(isinstance(n, int) for n in self.entries_of(name))
        }
        return self.inference.outputs(self._by_name[node.name], sizes, sure)

    def _lengths(self, node: Node, position: int, inferred: Mapping[str, Dims] | None) -> Dims:
        """Return the lengths of an output: by the integers that it is made from, or as inferred."""
        output = node.outputs[position]
        rule = None if inferred is None else SIZED.get(node.op_type)
        lengths = rule(self, node, position) if rule is not None and not node.domain else None
        if lengths is None:
            lengths = (inferred or {}).get(output)
        return self.named(len(self.shapes[output])) if lengths is None else lengths

    def _certain(self, output: str, lengths: Dims) -> Dims:
        """Return these lengths, open ones in the place of what a run contradicts or nobody knows."""
        traced = self.shapes[output]
        if len(lengths) != len(traced):
            return self.named(len(traced))
        return tuple(
            dim if dim == size or (isinstance(dim, str) and dim) else next(self._names)
            for dim, size in zip(lengths, traced, strict=True)
        )

    def _entries(self, node: Node, output: str) -> Dims:
        count = self.numbers[output].size
        rule = None if node.domain else FOLLOWED.get(node.op_type)
        entries = _whole(self, node) if rule is None else rule(self, node)
        if entries is None or len(entries) != count:
            return self.named(count)
        traced = self.numbers[output].reshape(-1).tolist()
        return tuple(
            entry if isinstance(entry, str) else number
            for entry, number in zip(entries, traced, strict=True)
        )


def _whole(flow: ShapeFlow, node: Node) -> Dims | None:
    """All at once: certain where all that is read is."""
    read = [name for name in node.inputs if name is not None and name not in flow.closed]
    certain = all(
        name in flow.numbers and all(isinstance(entry, int) for entry in flow.entries_of(name))
        for name in read
    )
    return (
        (0,) * flow.numbers[node.outputs[0]].size
        if certain and node.outputs[0] in flow.numbers
        else None
    )


def _shape(flow: ShapeFlow, node: Node) -> Dims | None:
    dims = flow.dims_of(node.input(0))
    return dims[slice(node.get("start", None), node.get("end", None))]


def _size(flow: ShapeFlow, node: Node) -> Dims | None:
    dims = flow.dims_of(node.input(0))
    return None if any(isinstance(dim, str) for dim in dims) else (0,)  # the run tells its value


def _same(flow: ShapeFlow, node: Node) -> Dims | None:
    return flow.entries_of(node.input(0)) if node.input(0) in flow.numbers else None


def _picked(flow: ShapeFlow, node: Node) -> Dims | None:
    source, positions = flow.entries_of(node.input(0)), _sure(flow, node, 1)
    if positions is None or not all(
        -len(source) <= position < len(source) for position in positions
    ):
        return None
    return tuple(source[position] for position in positions)


def _sliced(flow: ShapeFlow, node: Node) -> Dims | None:
    starts, ends = _sure(flow, node, 1, "starts"), _sure(flow, node, 2, "ends")
    steps = _sure(flow, node, 4) if node.has_input(4) else [1]
    if not (starts and ends and steps) or len(starts) != 1 or steps[0] <= 0:
        return None
    return flow.entries_of(node.input(0))[starts[0] : ends[0] : steps[0]]


def _joined(flow: ShapeFlow, node: Node) -> Dims | None:
    parts = [flow.entries_of(name) for name in node.inputs if name and name in flow.numbers]
    return tuple(entry for part in parts for entry in part)


def _combined(flow: ShapeFlow, node: Node) -> Dims | None:
    """Entry by entry: certain where all that it is computed from is; the run tells its value."""
    names = [name for name in node.inputs if name is not None]
    if not all(name in flow.numbers for name in names):
        return None
    count = max(flow.numbers[name].size for name in names)
    open_ = [_spread(flow.entries_of(name), count) for name in names]
    combined: list[Dim] = []
    for entries in zip(*open_, strict=True):
        certain = all(isinstance(entry, int) for entry in entries)
        combined.append(0 if certain else flow.named(1)[0])
    return tuple(combined)


def _spread(entries: Dims, count: int) -> Dims:
    return entries * count if len(entries) == 1 else entries


Follow = Callable[[ShapeFlow, Node], Dims | None]
FOLLOWED: dict[str, Follow] = {
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(BY_ENTRY, _combined),
    "Shape": _shape,
    "Size": _size,
    "Gather": _picked,
    "Slice": _sliced,
    "Concat": _joined,
}


def _reshaped(flow: ShapeFlow, node: Node, _: int) -> Dims | None:
    """Return the lengths that a reshape is given; −1 is what is left of the input, open lengths cancelled by name."""
    wanted, source = _numbers(flow, node, 1, "shape"), flow.dims_of(node.input(0))
    if wanted is None:
        return None
    if not node.get("allowzero", 0):
        wanted = tuple(
            source[axis] if dim == 0 and axis < len(source) else dim
            for axis, dim in enumerate(wanted)
        )
    rest = _left(source, [dim for dim in wanted if dim != -1]) or flow.named(1)[0]
    return tuple(rest if dim == -1 else dim for dim in wanted)


def _left(whole: Dims, parts: Sequence[Dim]) -> Dim | None:
    """Return what multiplies `parts` to the product of `whole`, None where that is not told."""
    names = Counter(dim for dim in whole if isinstance(dim, str))
    names.subtract(dim for dim in parts if isinstance(dim, str))
    left, count = [name for name, times in names.items() for _ in range(times)], names.values()
    size = prod(dim for dim in whole if isinstance(dim, int))
    given = prod(dim for dim in parts if isinstance(dim, int))
    if min(count, default=0) < 0 or given <= 0 or size % given or len(left) > 1:
        return None
    if not left:
        return size // given
    return left[0] if size == given else None


def _expanded(flow: ShapeFlow, node: Node, _: int) -> Dims | None:
    wanted, source = _numbers(flow, node, 1), flow.dims_of(node.input(0))
    if wanted is None:
        return None
    rank = max(len(wanted), len(source))
    pairs = zip(
        (1,) * (rank - len(source)) + source, (1,) * (rank - len(wanted)) + wanted, strict=True
    )
    return tuple(_broadcast(one, other) for one, other in pairs)


def _broadcast(one: Dim, other: Dim) -> Dim:
    if one in {1, other}:
        return other
    if other == 1 or isinstance(one, int):
        return one
    return other if isinstance(other, int) else ""


def _filled(flow: ShapeFlow, node: Node, _: int) -> Dims | None:
    return _numbers(flow, node, 0)


def _split(flow: ShapeFlow, node: Node, part: int) -> Dims | None:
    """Return the lengths of one part: its own along the axis that is split, the others as they were."""
    source, sizes = flow.dims_of(node.input(0)), _numbers(flow, node, 1, "split")
    if sizes is None:
        return None
    axis = node.get("axis", 0) % len(source)
    return tuple(sizes[part] if at == axis else dim for at, dim in enumerate(source))


def _cut(flow: ShapeFlow, node: Node, _: int) -> Dims | None:
    """Return the lengths where bounds are open: axes that are not sliced stay as they are."""
    source, axes = flow.dims_of(node.input(0)), _sure(flow, node, 3, "axes")
    bounds = [_sure(flow, node, 1, "starts"), _sure(flow, node, 2, "ends")]
    if axes is None or None not in bounds:
        return None
    gone = {axis % len(source) for axis in axes}
    return tuple("" if axis in gone else dim for axis, dim in enumerate(source))


def _numbers(flow: ShapeFlow, node: Node, position: int, attribute: str = "") -> Dims | None:
    """Return the entries of an integer input, or of the attribute that older opsets have in its place."""
    if node.has_input(position):
        name = node.input(position)
        return flow.entries_of(name) if name in flow.numbers else None
    stated = node.get(attribute, None)
    return None if stated is None else tuple(int(number) for number in stated)


def _sure(flow: ShapeFlow, node: Node, position: int, attribute: str = "") -> list[int] | None:
    numbers = _numbers(flow, node, position, attribute)
    if numbers is None:
        return None
    sure = [number for number in numbers if isinstance(number, int)]
    return sure if len(sure) == len(numbers) else None


Sized = Callable[[ShapeFlow, Node, int], Dims | None]
SIZED: dict[str, Sized] = {
    "Reshape": _reshaped,
    "Expand": _expanded,
    "ConstantOfShape": _filled,
    "Split": _split,
    "Slice": _cut,
}
