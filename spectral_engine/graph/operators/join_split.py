"""Operators that join values, and take them apart."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder, Follows, Origin
from spectral_engine.graph.ids import NodeIds
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import (
    axis_in,
    ids_or_fresh,
    normal,
    origins_of,
    state_width_at,
)
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node

COMPUTED = "is sliced at places that are computed"


def concat(node: Node, mode: Mode) -> Function:
    """Join along an axis."""
    axis = node.get("axis", 0)
    return lambda *values: torch.cat(values, dim=axis)


def concat_coupling(node: Node, book: CouplingRecorder) -> None:
    """Rows of nodes one after another; other axes meet."""
    target = node.outputs[0]
    parts = [name for name in node.inputs if name is not None]
    if len(book.shapes[target]) == 1:
        origins = [
            origins_of(node, position, book)
            for position in range(len(parts))
            if book.shapes[parts[position]]
        ]
        book.origins[target] = tuple(origin for part in origins for origin in part)
    ids = [ids_or_fresh(name, book) for name in parts]
    concat_axis = normal(node.get("axis", 0), len(book.shapes[target]))
    axes: list[NodeIds | None] = []
    for axis in range(len(book.shapes[target])):
        along = [part[axis] for part in ids]
        if axis == concat_axis:
            known = any(axis_ids is not None for axis_ids in along)
            pairs = zip(along, parts, strict=True)
            rows = (
                [
                    book.nodes_of(name, axis) if axis_ids is None else axis_ids
                    for axis_ids, name in pairs
                ]
                if known
                else []
            )
            axes.append(NodeIds(np.concatenate(rows)) if known else None)
        else:
            first = along[0]
            for other in along[1:]:
                first = book.join(first, other)
            axes.append(first)
    book.write(target, tuple(axes))


def split(node: Node, mode: Mode) -> Function:
    """Into stated sizes, or into equal parts of which the last may be smaller."""
    axis, count = node.get("axis", 0), len(node.outputs)
    stated = node.constant_ints(1, "split")

    def function(x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
        chosen = stated if stated is not None or sizes is None else sizes.tolist()
        if chosen is None:
            return torch.split(x, -(-x.shape[axis] // count), dim=axis)
        return torch.split(x, chosen, dim=axis)

    return function if count > 1 else lambda *values: function(*values)[0]


def split_coupling(node: Node, book: CouplingRecorder) -> None:
    """Parts of a row of nodes; equal parts that nobody sizes can only be narrowed alike."""
    source = node.input(0)
    ids = ids_or_fresh(source, book)
    axis = normal(node.get("axis", 0), len(ids))
    whole = ids[axis]
    start = 0
    parts = []
    for position, output in enumerate(node.outputs):
        width = book.shapes[output][axis] if output else 0
        part = None if whole is None else NodeIds(whole[start : start + width])
        start += width
        if output:
            book.write(
                output, tuple(part if n == axis else axis_ids for n, axis_ids in enumerate(ids))
            )
        if part is not None:
            parts.append(part)
            _state_part(node, position, part, book)
    sized = node.has_input(1) or "split" in node.attributes
    for part in () if sized else parts[1:]:
        book.join(parts[0], part) if part.shape == parts[0].shape else book.pin(
            whole, "is split unevenly"
        )


def _state_part(node: Node, position: int, part: NodeIds, book: CouplingRecorder) -> None:
    if node.has_input(1):
        state_width_at(origins_of(node, 1, book)[position], part, book)
    elif "split" in node.attributes:
        book.state_width(node, part, attribute="split", entry=position)


def slice_(node: Node, mode: Mode) -> Function:
    """Starts, ends, axes and steps are attributes before opset 10, inputs since."""
    stated = [
        node.constant_ints(position, name)
        for position, name in enumerate(("starts", "ends", "axes", "steps"), start=1)
    ]

    def function(x: Tensor, *given: Tensor | None) -> Tensor:
        starts, ends, axes, steps = (
            known if known is not None else _numbers(given, position)
            for position, known in enumerate(stated)
        )
        axes = axes if axes is not None else list(range(len(starts or [])))
        steps = steps or [1] * len(axes)
        for start, end, axis, step in zip(starts or [], ends or [], axes, steps, strict=True):
            x = _slice_axis(x, start, end, axis_in(axis, x.dim()), step)
        return x

    return function


def slice_coupling(node: Node, book: CouplingRecorder) -> None:
    """A stretch of a row of nodes: where it starts and ends counts the nodes before."""
    source, target = node.input(0), node.outputs[0]
    axes: list[NodeIds | None] = list(ids_or_fresh(source, book))
    bounds = _slice_bounds(node)
    if bounds is not None and len(bounds) == 1 and source in book.origins:
        start, end, _, step = bounds[0]
        numbers = book.origins[source]
        book.origins[target] = numbers[slice(*_bounds(start, end, step, len(numbers)), step)]
    if bounds is None:
        _computed_slice(node, axes, book)
        return
    for entry, (start, end, axis, step) in enumerate(bounds):
        dim = normal(axis, len(axes))
        ids = axes[dim]
        if ids is None:
            continue
        if step != 1:
            book.pin(ids, "is sliced in steps")
        axes[dim] = NodeIds(ids[slice(*_bounds(start, end, step, len(ids)), step)])
        for position, name, number in ((1, "starts", start), (2, "ends", end)):
            _state_bound(node, position, name, entry, number, ids, book)
    book.write(target, tuple(axes))


def _computed_slice(node: Node, axes: list[NodeIds | None], book: CouplingRecorder) -> None:
    """Axes that are cut at places worked out in the run must stay, but those cut to the length of others' nodes."""
    stated_axes, steps = node.constant_ints(3, "axes"), node.constant_ints(4, "steps")
    if (stated_axes is None and node.has_input(3)) or (steps is None and node.has_input(4)):
        book.pin_value(node.input(0), COMPUTED)
        return
    starts, ends = origins_of(node, 1, book), origins_of(node, 2, book)
    for entry, axis in enumerate(range(len(starts)) if stated_axes is None else stated_axes):
        dim = normal(axis, len(axes))
        ids = axes[dim]
        if ids is None:
            continue
        start, end = starts[entry], ends[entry]
        whole = isinstance(start, Origin) and start.number == 0 and set(steps or [1]) == {1}
        other = book.axis(end.value, end.axis) if isinstance(end, Follows) else None
        if whole and other is not None and other.shape == ids.shape:
            axes[dim] = book.join(ids, other)
        else:
            book.pin(ids, COMPUTED)
            axes[dim] = None
    book.write(node.outputs[0], tuple(axes))


def _slice_bounds(node: Node) -> list[tuple[int, int, int, int]] | None:
    starts, ends = node.constant_ints(1, "starts"), node.constant_ints(2, "ends")
    axes, steps = node.constant_ints(3, "axes"), node.constant_ints(4, "steps")
    if starts is None or ends is None or (axes is None and node.has_input(3)):
        return None
    if steps is None and node.has_input(4):
        return None
    axes = list(range(len(starts))) if axes is None else axes
    return list(zip(starts, ends, axes, steps or [1] * len(starts), strict=True))


def _stretch(node: Node) -> tuple[int, int, int] | None:
    """Return (axis, start, end) of a slice along one axis that is known beforehand."""
    ints = [node.constant_ints(i, n) for i, n in enumerate(("starts", "ends", "axes"), 1)]
    steps = node.constant_ints(4)
    if any(listed is None or len(listed) != 1 for listed in ints) or steps not in (None, [1]):
        return None
    (start,), (end,), (axis,) = (listed or [0] for listed in ints)
    return (axis, start, end) if 0 <= start < end else None


def _state_bound(
    node: Node,
    position: int,
    name: str,
    entry: int,
    number: int,
    ids: NodeIds,
    book: CouplingRecorder,
) -> None:
    if number == 0 or abs(number) > len(ids):
        return
    counted = NodeIds(ids[:number] if number > 0 else ids[number:])
    sign = 1 if number > 0 else -1
    if node.has_input(position):
        book.state_width(node, counted, input=position, entry=entry, sign=sign)
    else:
        book.state_width(node, counted, attribute=name, entry=entry, sign=sign)


def _numbers(given: tuple[Tensor | None, ...], position: int) -> list[int] | None:
    value = given[position] if position < len(given) else None
    return None if value is None else [int(number) for number in value]


def _slice_axis(x: Tensor, start: int, end: int, axis: int, step: int) -> Tensor:
    indices = range(x.shape[axis])[slice(*_bounds(start, end, step, x.shape[axis]), step)]
    if step > 0:
        return x[(slice(None),) * axis + (slice(indices.start, indices.stop, step),)]
    return x.index_select(axis, torch.tensor(list(indices), device=x.device, dtype=torch.int64))


def _bounds(start: int, end: int, step: int, size: int) -> tuple[int | None, int | None]:
    """Turn ONNX's bounds into Python's: an end before the first place, going backwards, is None."""
    if step < 0 and end < -size:
        return start, None
    return start, end


register(
    {
        "Concat": OperatorSpec(concat, concat_coupling, weights=tuple(range(8))),
        "Split": OperatorSpec(split, split_coupling, weights=(0,), read_by_python=(1,)),
        "Slice": OperatorSpec(
            slice_, slice_coupling, weights=(0,), stretch=_stretch, read_by_python=(1, 2, 3, 4)
        ),
    },
)
