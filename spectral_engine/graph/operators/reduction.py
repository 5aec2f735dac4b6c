"""Reductions along axes; the axes are an attribute in older opsets, an input in newer ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder, MixKind
from spectral_engine.graph.ids import NodeIds
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import axis_in, normal
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted((axis_in(axis, x.dim()) for axis in axes), reverse=True):
        x = x.prod(dim=axis, keepdim=keep)
    return x


def _extreme(x: Tensor, axes: list[int], keep: bool, *, largest: bool) -> Tensor:
    """Of no elements the largest is the type's smallest, and the other way round."""
    if x.numel():
        return x.amax(axes, keepdim=keep) if largest else x.amin(axes, keepdim=keep)
    return torch.full_like(x.sum(axes, keepdim=keep), _worst(x.dtype, largest), dtype=x.dtype)


def _worst(dtype: torch.dtype, largest: bool) -> float:
    if dtype == torch.bool:
        return float(not largest)
    if dtype.is_floating_point:
        return float("-inf") if largest else float("inf")
    return torch.iinfo(dtype).min if largest else torch.iinfo(dtype).max


REDUCTIONS: dict[str, Callable[[Tensor, list[int], bool], Tensor]] = {
    "ReduceMean": lambda x, axes, keep: x.mean(axes, keepdim=keep),
    "ReduceSum": lambda x, axes, keep: x.sum(axes, keepdim=keep, dtype=x.dtype),
    "ReduceMax": lambda x, axes, keep: _extreme(x, axes, keep, largest=True),
    "ReduceMin": lambda x, axes, keep: _extreme(x, axes, keep, largest=False),
    "ReduceProd": _product,
    "ReduceL1": lambda x, axes, keep: x.abs().sum(axes, keepdim=keep, dtype=x.dtype),
    "ReduceL2": lambda x, axes, keep: x.square().sum(axes, keepdim=keep, dtype=x.dtype).sqrt(),
    "ReduceSumSquare": lambda x, axes, keep: x.square().sum(axes, keepdim=keep, dtype=x.dtype),
    "ReduceLogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep),
    "ReduceLogSum": lambda x, axes, keep: x.sum(axes, keepdim=keep).log(),
}


def reduction(node: Node, mode: Mode) -> Function:
    """All axes where none are given, unless the node says that this means none."""
    reduce, keep = REDUCTIONS[node.op_type], node.get("keepdims", 1) == 1
    stated = node.constant_ints(1, "axes")
    nothing = bool(node.get("noop_with_empty_axes", 0))

    def function(x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = stated if axes is None or stated is not None else [int(a) for a in axes]
        if not chosen:
            if nothing:
                return x
            chosen = list(range(x.dim()))
        return reduce(x, chosen, keep)

    return function


def arg(node: Node, mode: Mode) -> Function:
    """The place of the largest or smallest along an axis."""
    axis, keep = node.get("axis", 0), node.get("keepdims", 1) == 1
    last = bool(node.get("select_last_index", 0))
    find: Any = torch.argmax if node.op_type == "ArgMax" else torch.argmin

    def function(x: Tensor) -> Tensor:
        if not last:
            first: Tensor = find(x, dim=axis, keepdim=keep)
            return first
        flipped: Tensor = find(x.flip(axis), dim=axis, keepdim=keep)
        index: Tensor = x.shape[axis] - 1 - flipped
        return index.long()

    return function


# How a silenced node is kept out of a reduction over nodes; of a product it cannot be.
KEPT_OUT: dict[str, MixKind] = {
    **dict.fromkeys(
        ("ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum"), "sum"
    ),
    "ReduceMean": "mean",
    **dict.fromkeys(("ReduceMax", "ReduceLogSumExp"), "lowest"),
    "ReduceMin": "highest",
}


def reduction_coupling(node: Node, book: CouplingRecorder) -> None:
    """Axes that stay keep their nodes; a reduction over nodes goes over those that stay."""
    source, rank = node.input(0), len(book.shapes[node.input(0)])
    reduced = _reduced_axes(node, rank)
    if reduced is None:
        book.pin_value(source, "is reduced along axes that are computed")
        return
    for axis in reduced:
        kind = KEPT_OUT.get(node.op_type)
        if kind is None:
            book.pin(book.axis(source, axis), f"{node.op_type} goes over it")
        else:
            book.mix(node, 0, axis, kind)
    keep = node.get("keepdims", 1) == 1
    axes: list[NodeIds | None] = []
    for axis, ids in enumerate(book.ids(source)):
        if axis not in reduced:
            axes.append(ids)
        elif keep:
            axes.append(None)
    book.pass_on(source, node.outputs[0], tuple(axes))


def _reduced_axes(node: Node, rank: int) -> set[int] | None:
    if node.op_type in {"ArgMax", "ArgMin"}:
        return {normal(node.get("axis", 0), rank)}
    stated = node.constant_ints(1, "axes")
    if stated is None and node.has_input(1):
        return None
    if not stated:
        return set() if node.get("noop_with_empty_axes", 0) else set(range(rank))
    return {normal(axis, rank) for axis in stated}


register(
    {
        **dict.fromkeys(
            REDUCTIONS, OperatorSpec(reduction, reduction_coupling, read_by_python=(1,))
        ),
        **dict.fromkeys(("ArgMax", "ArgMin"), OperatorSpec(arg, reduction_coupling)),
    },
)
