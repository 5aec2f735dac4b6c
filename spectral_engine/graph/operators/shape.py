"""Operators that move values about, and those that compute shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto
from torch import Tensor

from spectral_engine.graph.node import Node
from spectral_engine.graph.operators.registry import Function, Mode, operator

# float16 and bfloat16 models compute in float32.
TORCH_TYPES: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float32,
    TensorProto.BFLOAT16: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.BOOL: torch.bool,
}
PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}


@operator("Identity", "Dropout")
def identity(node: Node, mode: Mode) -> Function:
    """Dropout of an inference graph does nothing."""
    masked = len([name for name in node.outputs if name]) > 1

    def function(x: Tensor, ratio: Tensor | None = None, training: Tensor | None = None) -> Any:
        if training is not None and bool(training):
            raise node.unsupported("training_mode is not supported: export the model for inference")
        return (x, torch.ones_like(x, dtype=torch.bool)) if masked else x

    return function


@operator("Cast")
def cast(node: Node, mode: Mode) -> Function:
    """To another type."""
    dtype = TORCH_TYPES.get(node.get("to", TensorProto.FLOAT))
    if dtype is None:
        raise node.unsupported("this type is not supported")
    return lambda x: x.to(dtype)


@operator("CastLike")
def cast_like(node: Node, mode: Mode) -> Function:
    """To the type of the second input."""
    return lambda x, like: x.to(like.dtype)


@operator("Reshape")
def reshape(node: Node, mode: Mode) -> Function:
    """0 copies the input's size and −1 is worked out, unless `allowzero` takes 0 as it stands."""
    stated = node.get("frozen_shape", None) or node.constant_ints(1, "shape")
    zero_copies = not node.get("allowzero", 0)

    def function(x: Tensor, shape: Tensor | None = None) -> Tensor:
        sizes = (stated or []) if shape is None or stated is not None else _ints(shape)
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

    return function


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


@operator("Gather")
def gather(node: Node, mode: Mode) -> Function:
    """Take whole slices by index; negative indices count from the end."""
    axis = node.get("axis", 0)

    def function(x: Tensor, indices: Tensor) -> Tensor:
        place = axis % max(x.dim(), 1)
        flat = indices.long().flatten()
        flat = torch.where(flat < 0, flat + x.shape[place], flat).to(x.device)
        found = x.index_select(place, flat)
        return found.reshape(*x.shape[:place], *indices.shape, *x.shape[place + 1 :])

    return function


@operator("Pad")
def pad(node: Node, mode: Mode) -> Function:
    """Constant, reflected, or by repeating the edge; negative pads crop."""
    kind = PAD_MODES.get(node.get("mode", "constant"))
    if kind is None:
        raise node.unsupported(f"mode {node.get('mode', '')!r} is not supported")
    stated, axes = node.constant_ints(1, "pads"), node.constant_ints(3)
    fill = node.get("value", 0.0)

    def function(
        x: Tensor, pads: Tensor | None = None, value: Any = None, given: Any = None
    ) -> Tensor:
        sizes = stated if stated is not None or pads is None else pads.tolist()
        chosen = axes if axes is not None else (range(x.dim()) if given is None else given.tolist())
        around = _pads_of_all(x.dim(), list(chosen), sizes or [])
        if kind == "constant":
            return F.pad(x, around, value=float(fill if value is None else value))
        spatial = around[: 2 * max(0, x.dim() - 2)]
        if any(around[len(spatial) :]):
            raise node.unsupported("only the spatial axes can be padded in this mode")
        return F.pad(x, spatial, mode=kind)

    return function


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
    return lambda x, repeats: x.repeat(tuple(repeats.tolist()))


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
    return lambda start, limit, delta: torch.arange(
        start.item(), limit.item(), delta.item(), dtype=start.dtype
    )


@operator("ConstantOfShape")
def constant_of_shape(node: Node, mode: Mode) -> Function:
    """A tensor of one value."""
    value = np.asarray(node.get("value", np.zeros(1, dtype=np.float32)))
    fill = torch.from_numpy(value.copy()).flatten()[0]
    return lambda sizes: torch.full(tuple(sizes.tolist()), fill.item(), dtype=fill.dtype)
