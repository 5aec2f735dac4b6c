"""How a reshape regroups axes, and what that does to the ids along them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.ids import NodeAxes, NodeIds
from spectral_engine.graph.operators.axes import ids_or_fresh
from spectral_engine.onnx_io.node import Node

TAKES_APART = {"Gather", "Split", "Slice"}
LOOK_AHEAD = 4  # transposes between a reshape and whoever takes its axis apart


@dataclass(frozen=True)
class Segment:
    """Axes of the input that become axes of the output, with as many elements."""

    before: tuple[int, ...]
    after: tuple[int, ...]


def segments(before: Sequence[int], after: Sequence[int]) -> list[Segment]:
    """Cut two shapes of the same size, none of them 0, into the smallest parts of equal size, from the left.

    >>> [(s.before, s.after) for s in segments((2, 12, 5), (2, 3, 4, 5))]
    [((0,), (0,)), ((1,), (1, 2)), ((2,), (3,))]
    """
    parts = []
    i = j = 0
    while i < len(before) or j < len(after):
        first_i, first_j = i, j
        left = before[i] if i < len(before) else 1
        right = after[j] if j < len(after) else 1
        i, j = min(i + 1, len(before)), min(j + 1, len(after))
        while left != right:
            if left < right:
                left *= before[i]
                i += 1
            else:
                right *= after[j]
                j += 1
        parts.append(Segment(tuple(range(first_i, i)), tuple(range(first_j, j))))
    return parts


def regroup(node: Node, book: CouplingRecorder) -> None:
    """Give the output of a reshape its ids: axes merged repeat them, an axis split keeps those of one part.

    Where (heads × size) is taken apart, all entries of one head become one node.
    """
    source, target = node.input(0), node.outputs[0]
    before, after, ids = book.shapes[source], book.shapes[target], ids_or_fresh(source, book)
    if 0 in before:
        return
    axes: list[NodeIds | None] = [None] * len(after)
    for segment in segments(before, after):
        flat = _merge(segment, before, ids, book)
        if flat is not None:
            if len(segment.before) > 1:
                book.merged += [(source, axis) for axis in segment.before]
                book.merged += [(target, axis) for axis in segment.after]
            target_axis, kept = _spread(flat, segment, node, book)
            if target_axis is not None:
                axes[target_axis] = kept
    book.write(target, tuple(axes))


def _merge(
    segment: Segment, shape: Sequence[int], axes: NodeAxes, book: CouplingRecorder
) -> NodeIds | None:
    """Return the ids along a segment laid out flat; of several axes with nodes only one can keep them."""
    with_nodes = [(axis, ids) for axis in segment.before if (ids := axes[axis]) is not None]
    with_nodes = [(axis, ids) for axis, ids in with_nodes if shape[axis] > 1]
    if not with_nodes:
        return None
    free = (
        with_nodes
        if len(with_nodes) == 1
        else [pair for pair in with_nodes if not book.is_pinned(pair[1])] or with_nodes
    )
    kept, ids = max(free, key=lambda pair: len(pair[1]))
    for axis, others in with_nodes:
        if axis != kept:
            book.pin(others, "is flattened together with other nodes")
    sizes = [shape[axis] for axis in segment.before]
    along_kept = [shape[axis] if axis == kept else 1 for axis in segment.before]
    return NodeIds(np.broadcast_to(ids.reshape(along_kept), sizes).reshape(-1))


def _spread(
    flat: NodeIds, segment: Segment, node: Node, book: CouplingRecorder
) -> tuple[int | None, NodeIds]:
    """Lay flat ids out over the axes of the output; return the axis that holds nodes, and its ids."""
    after = book.shapes[node.outputs[0]]
    wide = [axis for axis in segment.after if after[axis] > 1]
    if not wide:
        book.pin(flat, "is the only one")
        return None, flat
    table = NodeIds(flat.reshape([after[axis] for axis in wide]))
    kept = _kept_axis(wide, table, node, book)
    rows = _rows(table, wide.index(kept))
    return kept, book.unify_rows(rows)


def _rows(table: NodeIds, axis: int) -> NodeIds:
    """Return what lies at each index of one axis: [kept, rest]."""
    return NodeIds(np.moveaxis(table, axis, 0).reshape(table.shape[axis], -1))


def _kept_axis(wide: list[int], table: NodeIds, node: Node, book: CouplingRecorder) -> int:
    """Choose which part of a split axis holds the nodes: heads, not their sizes, nor what is indexed next."""
    for position, axis in enumerate(wide):
        rows = _rows(table, position)
        if (rows == rows[:, :1]).all() and len(np.unique(rows[:, 0])) > 1:
            return axis  # merged before from just this axis
    whole = [axis for axis in wide if not _is_taken_apart(node.outputs[0], axis, book)] or wide
    if len(whole) == 2 and _is_shuffled(node.outputs[0], whole, book):
        return whole[1]
    return whole[0]


def _is_taken_apart(value: str, axis: int, book: CouplingRecorder, depth: int = LOOK_AHEAD) -> bool:
    if value not in book.shapes:
        return False  # nothing that is answered reads it: it is not computed
    rank = len(book.shapes[value])
    for reader in book.readers.get(value, ()):
        if reader.op_type == "Transpose" and depth:
            order = reader.get("perm", list(reversed(range(rank))))
            if _is_taken_apart(reader.outputs[0], order.index(axis), book, depth - 1):
                return True
        elif reader.op_type in {"Unsqueeze", "Squeeze"} and depth:
            moved = _moved_axis(reader, axis, rank)
            if moved is not None and _is_taken_apart(reader.outputs[0], moved, book, depth - 1):
                return True
        elif reader.op_type in TAKES_APART and axis in _indexed_axes(reader, rank):
            return True
    return False


def _moved_axis(reader: Node, axis: int, rank: int) -> int | None:
    """Return where an axis stands once axes of length 1 came or went, None where those are computed."""
    stated = reader.constant_ints(1, "axes")
    if stated is None:
        return None
    if reader.op_type == "Squeeze":
        gone = {dim % rank for dim in stated}
        return None if axis in gone else axis - sum(dim < axis for dim in gone)
    whole = rank + len(stated)
    new = {dim % whole for dim in stated}
    return [dim for dim in range(whole) if dim not in new][axis]


def _indexed_axes(reader: Node, rank: int) -> list[int]:
    if reader.op_type in {"Gather", "Split"}:
        return [reader.get("axis", 0) % rank]
    position = 3 if reader.op_type == "Slice" else 1
    axes = reader.constant_ints(position, "axes")
    return list(range(rank)) if axes is None else [axis % rank for axis in axes]


def _is_shuffled(value: str, pair: list[int], book: CouplingRecorder) -> bool:
    """Say whether two axes swap their places and are merged again, as channels are shuffled."""
    rank = len(book.shapes[value])
    for reader in book.readers.get(value, ()):
        if reader.op_type != "Transpose":
            continue
        order = reader.get("perm", list(reversed(range(rank))))
        swapped = order.index(pair[1]) + 1 == order.index(pair[0])
        after = book.readers.get(reader.outputs[0], ())
        if swapped and any(next_.op_type == "Reshape" for next_ in after):
            return True
    return False
