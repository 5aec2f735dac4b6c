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

from spectral_engine.graph.node import Node
from spectral_engine.graph.operators.registry import Function, Mode, operator
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


@operator("Transpose")
def transpose(node: Node, mode: Mode) -> Function:
    """Reverse the axes, or put them in the order of `perm`."""
    order = node.get("perm", None)
    return lambda x: x.permute(order if order is not None else list(reversed(range(x.dim()))))


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


@operator("Concat")
def concat(node: Node, mode: Mode) -> Function:
    """Join along an axis."""
    axis = node.get("axis", 0)
    return lambda *values: torch.cat(values, dim=axis)


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


@operator("Tile")
def tile(node: Node, mode: Mode) -> Function:
    """Repeat along every axis."""

    def function(x: Tensor, repeats: Tensor) -> Tensor:
        times = numbers(repeats) or []
        check_size(node, [x.numel(), *times])
        return x.repeat(times)

    return function


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
