"""Operators that make values larger: padded, stretched, repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder, Origin
from spectral_engine.graph.ids import NodeIds
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import (
    ids_or_fresh,
    origins_of,
    state_width_at,
)
from spectral_engine.graph.operators.types import check_size, numbers
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


def pad(node: Node, mode: Mode) -> Function:
    """Constant, reflected, wrapped round, or by repeating the edge; negative pads crop."""
    kind = node.get("mode", "constant")
    if kind not in {"constant", *FOLDED}:
        raise node.unsupported(f"mode {kind!r} is not supported")
    stated, axes = node.constant_ints(1, "pads"), node.constant_ints(3)
    fill = node.get("value", 0.0)

    def function(
        x: Tensor, pads: Tensor | None = None, value: Any = None, given: Any = None
    ) -> Tensor:
        sizes = stated if stated is not None else numbers(pads)
        chosen = axes if axes is not None else numbers(given)
        around = _pads_of_all(x.dim(), chosen or list(range(x.dim())), sizes or [])
        check_size(node, [n + max(0, p) for n, p in zip(x.shape, _totals(around), strict=True)])
        if kind != "constant":
            return _fold_around(x, around, FOLDED[kind])
        number = fill if value is None else value.item()
        return F.pad(x, around, value=number) if x.dim() else x

    return function


def _totals(around: list[int]) -> list[int]:
    """Return how much longer each axis becomes, first axis first."""
    return [a + b for a, b in zip(around[-2::-2], around[::-2], strict=True)]


def _reflected(positions: Tensor, size: int) -> Tensor:
    period = max(1, 2 * (size - 1))
    turned = positions.remainder(period)
    return torch.minimum(turned, period - turned)


FOLDED: dict[str, Callable[[Tensor, int], Tensor]] = {
    "reflect": _reflected,
    "edge": lambda positions, size: positions.clamp(0, size - 1),
    "wrap": torch.remainder,
}


def _fold_around(x: Tensor, around: list[int], fold: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Read places outside of an axis from inside of it."""
    for axis in range(x.dim()):
        before, after = around[2 * (x.dim() - 1 - axis) :][:2]
        if before or after:
            size = x.shape[axis]
            positions = torch.arange(-before, size + after, device=x.device)
            x = x.index_select(axis, fold(positions, size))
    return x


def pad_coupling(node: Node, book: CouplingRecorder) -> None:
    """Constant nodes may be added at the two ends of a row."""
    source, target = node.input(0), node.outputs[0]
    ids, rank = book.ids(source), len(book.shapes[source])
    pads, axes = node.constant_ints(1, "pads"), node.constant_ints(3)
    if pads is None or (axes is None and node.has_input(3)):
        book.pin_value(source, "is padded by what is computed")
        return
    around = _pads_of_all(rank, list(range(rank)) if axes is None else axes, pads)
    padded: list[NodeIds | None] = []
    for axis, axis_ids in enumerate(ids):
        begin, end = around[2 * (rank - 1 - axis)], around[2 * (rank - 1 - axis) + 1]
        if axis_ids is None or begin == end == 0:
            padded.append(axis_ids)
        elif node.get("mode", "constant") != "constant" or min(begin, end) < 0 or axes is not None:
            book.pin(axis_ids, "is padded")
            padded.append(None)
        else:
            padded.append(_padded(node, axis, rank, axis_ids, (begin, end), book))
    book.write(target, tuple(padded))


def _padded(
    node: Node,
    axis: int,
    rank: int,
    axis_ids: NodeIds,
    around: tuple[int, int],
    book: CouplingRecorder,
) -> NodeIds:
    begin, end = book.fresh(around[0]), book.fresh(around[1])
    for ids, entry in ((begin, axis), (end, axis + rank)):
        if ids.size and node.has_input(1):
            book.state_width(node, ids, input=1, entry=entry)
        elif ids.size:
            book.state_width(node, ids, attribute="pads", entry=entry)
    return NodeIds(np.concatenate([begin, axis_ids, end]))


def _pads_of_all(rank: int, axes: list[int], sizes: list[int]) -> list[int]:
    """Return pads in the order of torch: last axis first, begin before end."""
    around = [0] * (2 * rank)
    for position, axis in enumerate(axes):
        at = 2 * (rank - 1 - axis % rank)
        around[at], around[at + 1] = sizes[position], sizes[position + len(axes)]
    return around


def expand(node: Node, mode: Mode) -> Function:
    """Broadcast to a shape, or further where the input is wider."""
    return lambda x, shape: x.expand(np.broadcast_shapes(tuple(x.shape), tuple(shape.tolist())))


def expand_coupling(node: Node, book: CouplingRecorder) -> None:
    """Nodes pass; what is stretched along a constant's axis, or anything's last, is as narrow as what it meets."""
    source, target = node.input(0), node.outputs[0]
    constant = source in book.initializers or not book.depends_on_input(source)
    before, after = book.shapes[source], book.shapes[target]
    ids = ids_or_fresh(source, book)
    origins = origins_of(node, 1, book)
    axes: list[NodeIds | None] = [None] * len(after)
    for axis in range(-len(after), 0):
        size = before[axis] if -axis <= len(before) else 1
        axis_ids = ids[axis] if -axis <= len(before) else None
        stretched = size == 1 and after[axis] > 1
        if stretched:
            book.pin(axis_ids, "one node is broadcast over many")
            # Indices are stretched over features, to read or write all of them alike.
            axis_ids = book.fresh(after[axis]) if constant or axis == -1 else None
        axes[axis] = axis_ids
        stated = -axis <= len(origins)
        if axis_ids is not None and axis_ids.size > 1 and stated:
            source_of = origins[axis]
            if not (isinstance(source_of, Origin) and source_of.number == 1):  # 1 keeps the length
                state_width_at(source_of, axis_ids, book)
    book.write(target, tuple(axes))


def tile(node: Node, mode: Mode) -> Function:
    """Repeat along every axis."""

    def function(x: Tensor, repeats: Tensor) -> Tensor:
        times = numbers(repeats) or []
        check_size(node, [x.numel(), *times])
        return x.repeat(times)

    return function


def tile_coupling(node: Node, book: CouplingRecorder) -> None:
    """A row of nodes, several times over; one entry that is repeated gives as many as what it meets."""
    source, target = node.input(0), node.outputs[0]
    before, after = book.shapes[source], book.shapes[target]
    repeats = origins_of(node, 1, book)
    axes: list[NodeIds | None] = []
    for axis, ids in enumerate(ids_or_fresh(source, book)):
        if ids is not None:
            axes.append(NodeIds(np.tile(ids, after[axis] // max(1, before[axis]))))
        elif before[axis] == 1 < after[axis]:
            new = book.fresh(after[axis])
            state_width_at(repeats[axis], new, book)
            axes.append(new)
        else:
            axes.append(None)
    book.write(target, tuple(axes))


register(
    {
        "Pad": OperatorSpec(pad, pad_coupling, read_by_python=(1, 2, 3)),
        "Expand": OperatorSpec(expand, expand_coupling, weights=(0,), read_by_python=(1,)),
        "Tile": OperatorSpec(tile, tile_coupling, read_by_python=(1,)),
    },
)
