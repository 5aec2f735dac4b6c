"""Operators that move values about, and those that compute shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto
from torch import Tensor

from spectral_engine.graph.id_book import Follows, IdBook, Ids, Origin
from spectral_engine.graph.node import Node
from spectral_engine.graph.operators.axes import (
    follow,
    follow_origins,
    held_ids,
    normal,
    origins_of,
    state_width_at,
)
from spectral_engine.graph.operators.registry import Function, Mode, coupling, operator
from spectral_engine.graph.operators.regrouping import regroup
from spectral_engine.graph.operators.types import HALVES, check_size, numbers, torch_type


@operator("Identity")
def identity(node: Node, mode: Mode) -> Function:
    """The value itself."""
    return lambda x: x


@operator("Dropout")
def dropout(node: Node, mode: Mode) -> Function:
    """Of an inference graph it does nothing, and its mask is full."""
    masked = len(node.outputs) > 1

    def function(x: Tensor, ratio: Tensor | None = None, training: Tensor | None = None) -> Any:
        drops = ratio is None or float(ratio) != 0.0
        if drops and training is not None and bool(training):
            raise node.unsupported("training_mode is not supported: export the model for inference")
        return (x, torch.ones_like(x, dtype=torch.bool)) if masked else x

    return function


@operator("Cast")
def cast(node: Node, mode: Mode) -> Function:
    """To another type; to half precision rounds, and goes on in single."""
    to = node.get("to", TensorProto.FLOAT)
    dtype, half = torch_type(node, to), HALVES.get(to)
    if half is not None:
        return lambda x: x.to(half).to(dtype)
    return lambda x: x.to(dtype)


@operator("CastLike")
def cast_like(node: Node, mode: Mode) -> Function:
    """To the type of the second input."""
    return lambda x, like: x.to(like.dtype)


@coupling("Identity", "Dropout", "Cast", "CastLike")
def pass_coupling(node: Node, book: IdBook) -> None:
    """The same nodes under another name."""
    follow(node, book)


@operator("Reshape")
def reshape(node: Node, mode: Mode) -> Function:
    """0 copies the input's size and −1 is worked out, unless `allowzero` takes 0 as it stands.

    `free_shape` holds for every batch other than the one that the shape was frozen to.
    """
    stated, free = node.constant_ints(1, "shape"), node.get("free_shape", None)
    frozen = node.get("frozen", None)
    zero_copies = not node.get("allowzero", 0)

    def function(x: Tensor, shape: Tensor | None = None) -> Tensor:
        sizes = (stated or []) if shape is None or stated is not None else _ints(shape)
        if free is not None and mode.batch != frozen:
            sizes = free
        if zero_copies and 0 in sizes:
            sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
        return x.reshape(sizes)

    return function


@coupling("Reshape")
def reshape_coupling(node: Node, book: IdBook) -> None:
    """Axes are regrouped; the numbers that state their lengths follow."""
    follow_origins(node, book)
    regroup(node, book)
    target = node.outputs[0]
    sizes = node.constants.get(1)
    for axis, origin in enumerate(origins_of(node, 1, book)):
        ids = book.axis(target, axis)
        if ids is not None and not (sizes is not None and int(sizes[axis]) <= 0):
            state_width_at(origin, ids, book)


def _ints(numbers: Tensor) -> list[int]:
    return [int(number) for number in numbers]


@operator("Flatten")
def flatten(node: Node, mode: Mode) -> Function:
    """Into two axes, split before `axis`."""
    axis = node.get("axis", 1)

    def function(x: Tensor) -> Tensor:
        if axis == 1:
            return x.flatten(1) if x.dim() > 1 else x[:, None]
        start = axis % x.dim() if axis < 0 else axis
        return x.reshape(math.prod(x.shape[:start]), -1)

    return function


@coupling("Flatten")
def flatten_coupling(node: Node, book: IdBook) -> None:
    """Each node's positions become entries of their own, which go together."""
    regroup(node, book)


@operator("Transpose")
def transpose(node: Node, mode: Mode) -> Function:
    """Reverse the axes, or put them in the order of `perm`."""
    order = node.get("perm", None)
    return lambda x: x.permute(order if order is not None else list(reversed(range(x.dim()))))


@coupling("Transpose")
def transpose_coupling(node: Node, book: IdBook) -> None:
    """The axes' ids, in the new order; a turned initializer is still that initializer."""
    source, target = node.input(0), node.outputs[0]
    ids = held_ids(source, book)
    order = node.get("perm", None) or list(reversed(range(len(ids))))
    book.write(target, tuple(ids[axis] for axis in order))
    constant = book.constant(source)
    if constant is not None:
        book.aliases[target] = (constant[0], tuple(constant[1][axis] for axis in order))


@operator("Squeeze")
def squeeze(node: Node, mode: Mode) -> Function:
    """Drop axes of length 1: these, or all."""
    stated = node.constant_ints(1, "axes")

    def function(x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = stated if stated is not None or axes is None else axes.tolist()
        return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))

    return function


@operator("Unsqueeze")
def unsqueeze(node: Node, mode: Mode) -> Function:
    """Put in axes of length 1, counted in the result."""
    stated = node.constant_ints(1, "axes")

    def function(x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = stated if stated is not None or axes is None else axes.tolist()
        rank = x.dim() + len(chosen or [])
        for axis in sorted(axis % rank for axis in chosen or []):
            x = x.unsqueeze(axis)
        return x

    return function


@coupling("Squeeze", "Unsqueeze")
def unit_axes_coupling(node: Node, book: IdBook) -> None:
    """Axes of length 1 come and go."""
    follow_origins(node, book)
    regroup(node, book)


@operator("Concat")
def concat(node: Node, mode: Mode) -> Function:
    """Join along an axis."""
    axis = node.get("axis", 0)
    return lambda *values: torch.cat(values, dim=axis)


@coupling("Concat")
def concat_coupling(node: Node, book: IdBook) -> None:
    """Rows of nodes one after another; other axes meet."""
    target = node.outputs[0]
    parts = [name for name in node.inputs if name is not None]
    if len(book.shapes[target]) == 1:
        found = [
            origins_of(node, position, book)
            for position in range(len(parts))
            if book.shapes[parts[position]]
        ]
        book.origins[target] = tuple(origin for part in found for origin in part)
    ids = [held_ids(name, book) for name in parts]
    place = normal(node.get("axis", 0), len(book.shapes[target]))
    axes: list[Ids | None] = []
    for axis in range(len(book.shapes[target])):
        along = [part[axis] for part in ids]
        if axis == place:
            known = any(found is not None for found in along)
            pairs = zip(along, parts, strict=True)
            rows = (
                [book.nodes_of(name, axis) if found is None else found for found, name in pairs]
                if known
                else []
            )
            axes.append(np.concatenate(rows) if known else None)
        else:
            first = along[0]
            for other in along[1:]:
                first = book.join(first, other)
            axes.append(first)
    book.write(target, tuple(axes))


@operator("Split")
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


@coupling("Split")
def split_coupling(node: Node, book: IdBook) -> None:
    """Parts of a row of nodes; equal parts that nobody sizes can only be narrowed alike."""
    source = node.input(0)
    ids = held_ids(source, book)
    axis = normal(node.get("axis", 0), len(ids))
    own = ids[axis]
    start = 0
    parts = []
    for position, output in enumerate(node.outputs):
        width = book.shapes[output][axis] if output else 0
        part = None if own is None else own[start : start + width]
        start += width
        if output:
            book.write(output, tuple(part if n == axis else found for n, found in enumerate(ids)))
        if part is not None:
            parts.append(part)
            _state_part(node, position, part, book)
    sized = node.has_input(1) or "split" in node.attributes
    for part in () if sized else parts[1:]:
        book.join(parts[0], part) if part.shape == parts[0].shape else book.pin(
            own, "is split unevenly"
        )


def _state_part(node: Node, position: int, part: Ids, book: IdBook) -> None:
    if node.has_input(1):
        state_width_at(origins_of(node, 1, book)[position], part, book)
    elif "split" in node.attributes:
        book.state_width(node, part, attribute="split", entry=position)


@operator("Slice")
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
            x = _slice_axis(x, start, end, axis % x.dim(), step)
        return x

    return function


@coupling("Slice")
def slice_coupling(node: Node, book: IdBook) -> None:
    """A stretch of a row of nodes: where it starts and ends counts the nodes before."""
    source, target = node.input(0), node.outputs[0]
    axes: list[Ids | None] = list(held_ids(source, book))
    bounds = _slice_bounds(node)
    if bounds is not None and len(bounds) == 1 and source in book.origins:
        start, end, _, step = bounds[0]
        numbers = book.origins[source]
        book.origins[target] = numbers[slice(*_bounds(start, end, step, len(numbers)), step)]
    if bounds is None:
        book.pin_value(source, "is sliced at places that are computed")
        return
    for entry, (start, end, axis, step) in enumerate(bounds):
        place = normal(axis, len(axes))
        ids = axes[place]
        if ids is None:
            continue
        if step != 1:
            book.pin(ids, "is sliced in steps")
        axes[place] = ids[slice(*_bounds(start, end, step, len(ids)), step)]
        for position, name, number in ((1, "starts", start), (2, "ends", end)):
            _state_bound(node, position, name, entry, number, ids, book)
    book.write(target, tuple(axes))


def _slice_bounds(node: Node) -> list[tuple[int, int, int, int]] | None:
    starts, ends = node.constant_ints(1, "starts"), node.constant_ints(2, "ends")
    axes, steps = node.constant_ints(3, "axes"), node.constant_ints(4, "steps")
    if starts is None or ends is None or (axes is None and node.has_input(3)):
        return None
    if steps is None and node.has_input(4):
        return None
    axes = list(range(len(starts))) if axes is None else axes
    return list(zip(starts, ends, axes, steps or [1] * len(starts), strict=True))


def _state_bound(
    node: Node, position: int, name: str, entry: int, number: int, ids: Ids, book: IdBook
) -> None:
    if number == 0 or abs(number) > len(ids):
        return
    counted, sign = (ids[:number], 1) if number > 0 else (ids[number:], -1)
    if node.has_input(position):
        book.state_width(node, counted, input=position, entry=entry, sign=sign)
    else:
        book.state_width(node, counted, attribute=name, entry=entry, sign=sign)


def _numbers(given: tuple[Tensor | None, ...], position: int) -> list[int] | None:
    value = given[position] if position < len(given) else None
    return None if value is None else [int(number) for number in value]


def _slice_axis(x: Tensor, start: int, end: int, axis: int, step: int) -> Tensor:
    places = range(x.shape[axis])[slice(*_bounds(start, end, step, x.shape[axis]), step)]
    if step > 0:
        return x[(slice(None),) * axis + (slice(places.start, places.stop, step),)]
    return x.index_select(axis, torch.tensor(list(places), device=x.device, dtype=torch.int64))


def _bounds(start: int, end: int, step: int, size: int) -> tuple[int | None, int | None]:
    """Turn ONNX's bounds into Python's: an end before the first place, going backwards, is None."""
    if step < 0 and end < -size:
        return start, None
    return start, end


@operator("Gather")
def gather(node: Node, mode: Mode) -> Function:
    """Take whole slices by index; negative indices count from the end."""
    axis = node.get("axis", 0)

    def function(x: Tensor, indices: Tensor) -> Tensor:
        place = axis % max(x.dim(), 1)
        flat = indices.long().flatten()
        flat = torch.where(flat < 0, flat + x.shape[place], flat).to(x.device)
        found = x.index_select(place, flat)
        return found.reshape((*x.shape[:place], *indices.shape, *x.shape[place + 1 :]))

    return function


@operator("Pad")
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


def _reflected(places: Tensor, size: int) -> Tensor:
    period = max(1, 2 * (size - 1))
    turned = places.remainder(period)
    return torch.minimum(turned, period - turned)


FOLDED: dict[str, Callable[[Tensor, int], Tensor]] = {
    "reflect": _reflected,
    "edge": lambda places, size: places.clamp(0, size - 1),
    "wrap": torch.remainder,
}


def _fold_around(x: Tensor, around: list[int], fold: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Read places outside of an axis from inside of it."""
    for axis in range(x.dim()):
        before, after = around[2 * (x.dim() - 1 - axis) :][:2]
        if before or after:
            size = x.shape[axis]
            places = torch.arange(-before, size + after, device=x.device)
            x = x.index_select(axis, fold(places, size))
    return x


@coupling("Pad")
def pad_coupling(node: Node, book: IdBook) -> None:
    """Constant nodes may be added at the two ends of a row."""
    source, target = node.input(0), node.outputs[0]
    ids, rank = book.ids(source), len(book.shapes[source])
    pads, axes = node.constant_ints(1, "pads"), node.constant_ints(3)
    if pads is None or (axes is None and node.has_input(3)):
        book.pin_value(source, "is padded by what is computed")
        return
    around = _pads_of_all(rank, list(range(rank)) if axes is None else axes, pads)
    found: list[Ids | None] = []
    for axis, own in enumerate(ids):
        begin, end = around[2 * (rank - 1 - axis)], around[2 * (rank - 1 - axis) + 1]
        if own is None or begin == end == 0:
            found.append(own)
        elif node.get("mode", "constant") != "constant" or min(begin, end) < 0 or axes is not None:
            book.pin(own, "is padded")
            found.append(None)
        else:
            found.append(_padded(node, axis, rank, own, (begin, end), book))
    book.write(target, tuple(found))


def _padded(
    node: Node, axis: int, rank: int, own: Ids, around: tuple[int, int], book: IdBook
) -> Ids:
    begin, end = book.fresh(around[0]), book.fresh(around[1])
    for ids, entry in ((begin, axis), (end, axis + rank)):
        if ids.size and node.has_input(1):
            book.state_width(node, ids, input=1, entry=entry)
        elif ids.size:
            book.state_width(node, ids, attribute="pads", entry=entry)
    return np.concatenate([begin, own, end])


def _pads_of_all(rank: int, axes: list[int], sizes: list[int]) -> list[int]:
    """Return pads in the order of torch: last axis first, begin before end."""
    around = [0] * (2 * rank)
    for place, axis in enumerate(axes):
        at = 2 * (rank - 1 - axis % rank)
        around[at], around[at + 1] = sizes[place], sizes[place + len(axes)]
    return around


@operator("Expand")
def expand(node: Node, mode: Mode) -> Function:
    """Broadcast to a shape, or further where the input is wider."""
    return lambda x, shape: x.expand(np.broadcast_shapes(tuple(x.shape), tuple(shape.tolist())))


@coupling("Expand")
def expand_coupling(node: Node, book: IdBook) -> None:
    """Nodes pass; an axis that a constant is stretched along is as narrow as what it meets."""
    source, target = node.input(0), node.outputs[0]
    constant = source in book.initializers or not book.depends_on_input(source)
    before, after = book.shapes[source], book.shapes[target]
    ids = held_ids(source, book)
    origins = origins_of(node, 1, book)
    axes: list[Ids | None] = [None] * len(after)
    for axis in range(-len(after), 0):
        size = before[axis] if -axis <= len(before) else 1
        own = ids[axis] if -axis <= len(before) else None
        stretched = size == 1 and after[axis] > 1
        if stretched:
            book.pin(own, "one node is broadcast over many")
            own = book.fresh(after[axis]) if constant else None
        axes[axis] = own
        stated = -axis <= len(origins)
        if own is not None and own.size > 1 and stated:
            source_of = origins[axis]
            if not (isinstance(source_of, Origin) and source_of.number == 1):  # 1 keeps the length
                state_width_at(source_of, own, book)
    book.write(target, tuple(axes))


@operator("Tile")
def tile(node: Node, mode: Mode) -> Function:
    """Repeat along every axis."""

    def function(x: Tensor, repeats: Tensor) -> Tensor:
        times = numbers(repeats) or []
        check_size(node, [x.numel(), *times])
        return x.repeat(times)

    return function


@coupling("Tile")
def tile_coupling(node: Node, book: IdBook) -> None:
    """A row of nodes, several times over."""
    source, target = node.input(0), node.outputs[0]
    before, after = book.shapes[source], book.shapes[target]
    book.write(
        target,
        tuple(
            None if ids is None else np.tile(ids, after[axis] // max(1, before[axis]))
            for axis, ids in enumerate(held_ids(source, book))
        ),
    )


@operator("Shape")
def shape(node: Node, mode: Mode) -> Function:
    """The sizes as integers, or a part of them."""
    start, end = node.get("start", 0), node.get("end", None)
    return lambda x: torch.tensor(list(x.shape)[start:end], dtype=torch.int64)


@operator("Size")
def size(node: Node, mode: Mode) -> Function:
    """The number of elements."""
    return lambda x: torch.tensor(x.numel(), dtype=torch.int64)


@operator("Range")
def range_(node: Node, mode: Mode) -> Function:
    """Numbers from start to limit by delta."""

    def function(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
        first, last, step = start.item(), limit.item(), delta.item()
        check_size(node, [max(0, int((last - first) / step))])
        return torch.arange(first, last, step, dtype=start.dtype, device=start.device)

    return function


@operator("ConstantOfShape")
def constant_of_shape(node: Node, mode: Mode) -> Function:
    """A tensor of one value."""
    value = np.asarray(node.get("value", np.zeros(1, dtype=np.float32)))
    if value.dtype.kind not in "biuf" or value.dtype == np.float16:
        value = value.astype(np.float32)
    fill = torch.from_numpy(value.copy()).flatten()[0]

    def function(shape: Tensor) -> Tensor:
        sizes = numbers(shape) or []
        check_size(node, sizes)
        return torch.full(sizes, fill.item(), dtype=fill.dtype)

    return function


@operator("BitCast")
def bit_cast(node: Node, mode: Mode) -> Function:
    """The same bits under another type; those of half precision are gone once it is computed in single."""
    to = node.get("to", TensorProto.FLOAT)
    dtype, half = torch_type(node, to), HALVES.get(to)

    def function(x: Tensor) -> Tensor:
        target = half or dtype
        if x.element_size() != target.itemsize:
            raise node.unsupported("bits of half precision are not supported")
        return x.view(target).to(dtype)

    return function


@operator("Constant")
def constant(node: Node, mode: Mode) -> Function:
    """A value of the file."""
    kinds = ("value", "value_float", "value_int", "value_floats", "value_ints")
    held = [node.attributes[kind] for kind in kinds if kind in node.attributes]
    if not held:
        raise node.unsupported("only tensors and numbers are supported")
    array = np.asarray(held[0])
    if not isinstance(held[0], np.ndarray) and array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf" or array.dtype == np.float16:
        array = array.astype(np.float32)
    tensor = torch.from_numpy(array.copy())
    return lambda: tensor


@coupling("Shape")
def shape_coupling(node: Node, book: IdBook) -> None:
    """Sizes are read when the model runs, and so follow by themselves."""
    source = node.input(0)
    axes = range(len(book.shapes[source]))[node.get("start", 0) : node.get("end", None)]
    book.origins[node.outputs[0]] = tuple(Follows(source, axis) for axis in axes)


@coupling("Size", "Range")
def number_coupling(node: Node, book: IdBook) -> None:
    """Numbers, not nodes."""


@coupling("ConstantOfShape")
def constant_of_shape_coupling(node: Node, book: IdBook) -> None:
    """As narrow as what it meets."""
    target = node.outputs[0]
    axes = tuple(book.fresh(size) if size > 1 else None for size in book.shapes[target])
    book.write(target, axes)
    for ids, origin in zip(axes, origins_of(node, 0, book), strict=False):
        if ids is not None:
            state_width_at(origin, ids, book)
