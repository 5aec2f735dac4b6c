"""Resize and Upsample: axis after axis, each a sum over a few neighbours."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.ids import NodeIds
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import origins_of, state_width_at
from spectral_engine.graph.operators.types import check_size
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sampling:
    """How places in the output become places in the input, and what is read there."""

    mode: str  # nearest, linear, cubic
    coordinates: str
    nearest: str
    cubic: float
    exclude_outside: bool
    antialias: bool
    fill: float


@dataclass(frozen=True)
class Axis:
    """One axis: its size before and after, the scale that was asked for, and the part that is looked at."""

    size: int
    out: int
    scale: float
    start: float = 0.0
    end: float = 1.0


def upsample(node: Node, mode: Mode) -> Function:
    """What Resize was called before opset 10."""
    sampling = _sampling(node)
    stated = node.get("scales", None)

    def function(x: Tensor, scales: Tensor | None = None) -> Tensor:
        factors = stated if scales is None else scales.tolist()
        return _resize(node, x, _scaled(x, list(range(x.dim())), factors), sampling)

    return function


def resize(node: Node, mode: Mode) -> Function:
    """By scales or to sizes, of all axes or of some."""
    sampling = _sampling(node)
    if node.opset < 11:
        return lambda x, scales: _resize(
            node, x, _scaled(x, list(range(x.dim())), scales.tolist()), sampling
        )
    stated = node.get("axes", None)
    policy = node.get("keep_aspect_ratio_policy", "stretch")

    def function(x: Tensor, roi: Any = None, scales: Any = None, sizes: Any = None) -> Tensor:
        axes = [a % x.dim() for a in stated] if stated is not None else list(range(x.dim()))
        part = None
        if sampling.coordinates == "tf_crop_and_resize":
            part = roi.tolist()
        if sizes is not None and sizes.numel():
            by_axis = _sized(x, axes, [int(n) for n in sizes], policy, part)
        else:
            by_axis = _scaled(x, axes, scales.tolist(), part)
        return _resize(node, x, by_axis, sampling)

    return function


def _sampling(node: Node) -> Sampling:
    old = node.opset < 11
    mode = {"bilinear": "linear", "trilinear": "linear"}.get(
        node.get("mode", "nearest"), node.get("mode", "nearest")
    )
    if mode not in {"nearest", "linear", "cubic"}:
        raise node.unsupported(f"mode {mode!r} is not supported")
    coordinates = node.get("coordinate_transformation_mode", "half_pixel")
    if not old and coordinates not in COORDINATES:
        raise node.unsupported(f"coordinate_transformation_mode {coordinates!r} is not supported")
    nearest = node.get("nearest_mode", "round_prefer_floor")
    if nearest not in ROUNDINGS:
        raise node.unsupported(f"nearest_mode {nearest!r} is not supported")
    return Sampling(
        mode,
        "asymmetric" if old else coordinates,
        "simple" if old else nearest,
        node.get("cubic_coeff_a", -0.75),
        bool(node.get("exclude_outside", 0)),
        bool(node.get("antialias", 0)),
        node.get("extrapolation_value", 0.0),
    )


def _scaled(
    x: Tensor, axes: list[int], scales: list[float], roi: list[float] | None = None
) -> dict[int, Axis]:
    by_axis = {}
    for position, (axis, scale) in enumerate(zip(axes, scales, strict=True)):
        start, end = (0.0, 1.0) if roi is None else (roi[position], roi[position + len(axes)])
        out = math.floor(x.shape[axis] * (end - start) * scale)
        by_axis[axis] = Axis(x.shape[axis], out, scale, start, end)
    return by_axis


def _sized(
    x: Tensor, axes: list[int], sizes: list[int], policy: str, roi: list[float] | None
) -> dict[int, Axis]:
    if policy != "stretch":
        choose = min if policy == "not_larger" else max
        scale = choose(size / x.shape[axis] for axis, size in zip(axes, sizes, strict=True))
        return {
            axis: Axis(x.shape[axis], math.floor(scale * x.shape[axis] + 0.5), scale)
            for axis in axes
        }
    by_axis = {}
    for position, (axis, out) in enumerate(zip(axes, sizes, strict=True)):
        start, end = (0.0, 1.0) if roi is None else (roi[position], roi[position + len(axes)])
        by_axis[axis] = Axis(x.shape[axis], out, out / x.shape[axis], start, end)
    return by_axis


def _resize(node: Node, x: Tensor, axes: dict[int, Axis], sampling: Sampling) -> Tensor:
    if any(axis.out < 0 or axis.scale <= 0 for axis in axes.values()):
        raise ValueError("scales must be positive")
    if sampling.coordinates == "align_corners" and any(
        axis.out != axis.size * axis.scale for axis in axes.values()
    ):
        raise node.unsupported(
            "align_corners with scales that give no whole sizes is not supported: runtimes disagree about it"
        )
    check_size(node, [axes[i].out if i in axes else n for i, n in enumerate(x.shape)])
    moved = {
        i: axis
        for i, axis in axes.items()
        if axis.out != axis.size or axis.scale != 1.0 or (axis.start, axis.end) != (0.0, 1.0)
    }
    fused = _in_torch(x, moved, sampling)
    if fused is not None:
        return fused
    dtype = x.dtype
    x = x if x.is_floating_point() or sampling.mode == "nearest" else x.double()
    for dim, axis in moved.items():
        x = _along(x, dim, axis, sampling)
    x = _outside(x, moved, sampling)
    return x if x.dtype == dtype else x.round().to(dtype)


def _in_torch(x: Tensor, axes: dict[int, Axis], sampling: Sampling) -> Tensor | None:
    """Let torch interpolate images linearly, where it computes the same."""
    corners = sampling.coordinates == "align_corners"
    same = corners or sampling.coordinates in {"half_pixel", "pytorch_half_pixel"}
    exact = all(axis.out == axis.size * axis.scale and axis.out > 1 for axis in axes.values())
    if sampling.mode != "linear" or sampling.antialias or not (same and exact):
        return None
    if x.dim() != 4 or set(axes) != {2, 3} or not x.is_floating_point():
        return None
    sizes = [axes[2].out, axes[3].out]
    return F.interpolate(x, sizes, mode="bilinear", align_corners=corners)


def _along(x: Tensor, dim: int, axis: Axis, sampling: Sampling) -> Tensor:
    neighbours, weights = _neighbours(axis, sampling)
    if weights is None:
        return x.index_select(dim, torch.from_numpy(neighbours[0]).to(x.device))
    shape = [1] * x.dim()
    shape[dim] = axis.out
    total: Any = 0
    for index, weight in zip(neighbours, weights, strict=True):
        read = x.index_select(dim, torch.from_numpy(index).to(x.device))
        total = total + read * torch.from_numpy(weight).to(read).view(shape)
    return total  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=256)
def _neighbours(axis: Axis, sampling: Sampling) -> tuple[NDArray[np.int64], Floats | None]:
    """Return which places each output place reads [neighbours, out], and with which weights."""
    coordinates = _coordinates(axis, sampling)
    last = axis.size - 1
    if sampling.mode == "nearest":
        nearest = ROUNDINGS[sampling.nearest](coordinates, axis)
        return np.clip(nearest, 0, last).astype(np.int64)[None], None
    reach = 1.0 if sampling.mode == "linear" else 2.0
    squeeze = min(axis.scale, 1.0) if sampling.antialias else 1.0
    span = math.floor(reach / squeeze)
    around = np.floor(coordinates)[None] + np.arange(-span, span + 2)[:, None]
    weights = _kernel(sampling)(np.abs(around - coordinates) * squeeze)
    if sampling.exclude_outside:
        weights = np.where((around < 0) | (around > last), 0.0, weights)
    weights = weights / weights.sum(0)
    return np.clip(around, 0, last).astype(np.int64), weights


def _kernel(sampling: Sampling) -> Callable[[Floats], Floats]:
    if sampling.mode == "linear":
        return lambda d: np.clip(1 - d, 0, 1)
    a = sampling.cubic
    return lambda d: np.where(
        d <= 1,
        ((a + 2) * d - (a + 3)) * d * d + 1,
        np.where(d < 2, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a, 0.0),
    )


def _coordinates(axis: Axis, sampling: Sampling) -> Floats:
    return COORDINATES[sampling.coordinates](np.arange(axis.out, dtype=np.float64), axis)


def _half_pixel(at: Floats, axis: Axis) -> Floats:
    return (at + 0.5) / axis.scale - 0.5


def _symmetric(at: Floats, axis: Axis) -> Floats:
    centre = axis.size / 2
    return centre * (1 - axis.out / (axis.scale * axis.size)) + _half_pixel(at, axis)


def _corners(at: Floats, axis: Axis) -> Floats:
    return at * (axis.size - 1) / (axis.out - 1) if axis.out > 1 else at * 0


def _cropped(at: Floats, axis: Axis) -> Floats:
    if axis.out > 1:
        step = (axis.end - axis.start) * (axis.size - 1) / (axis.out - 1)
        return axis.start * (axis.size - 1) + at * step
    return at * 0 + 0.5 * (axis.start + axis.end) * (axis.size - 1)


COORDINATES: dict[str, Callable[[Floats, Axis], Floats]] = {
    "half_pixel": _half_pixel,
    "pytorch_half_pixel": lambda at, axis: _half_pixel(at, axis) if axis.out > 1 else at * 0,
    "half_pixel_symmetric": _symmetric,
    "align_corners": _corners,
    "asymmetric": lambda at, axis: at / axis.scale,
    "tf_crop_and_resize": _cropped,
}
ROUNDINGS: dict[str, Callable[[Floats, Axis], Floats]] = {
    "round_prefer_floor": lambda at, _axis: np.ceil(at - 0.5),
    "round_prefer_ceil": lambda at, _axis: np.floor(at + 0.5),
    "floor": lambda at, _axis: np.floor(at),
    "ceil": lambda at, _axis: np.ceil(at),
    # Before opset 11 nothing said how to round; onnxruntime rounds so.
    "simple": lambda at, axis: np.ceil(at) if axis.scale < 1 else np.floor(at),
}


def _outside(x: Tensor, axes: dict[int, Axis], sampling: Sampling) -> Tensor:
    """Fill what lies outside of the input, where a part of it is looked at."""
    if sampling.coordinates != "tf_crop_and_resize":
        return x
    for dim, axis in axes.items():
        at = _coordinates(axis, sampling)
        beyond = torch.from_numpy((at < 0) | (at > axis.size - 1)).to(x.device)
        shape = [1] * x.dim()
        shape[dim] = axis.out
        x = x.masked_fill(beyond.view(shape), sampling.fill)
    return x


def resize_coupling(node: Node, book: CouplingRecorder) -> None:
    """Axes that keep their length keep their nodes; a stated length follows."""
    source, target = node.input(0), node.outputs[0]
    before, after = book.shapes[source], book.shapes[target]
    axes: list[NodeIds | None] = list(book.ids(source))
    for axis in range(len(axes)):
        if before[axis] != after[axis]:
            book.pin(axes[axis], "is resized")
            axes[axis] = None
    book.write(target, tuple(axes))
    if not (node.op_type == "Resize" and node.has_input(3)):
        return
    named = node.get("axes", None) or list(range(len(before)))
    for entry, origin in enumerate(origins_of(node, 3, book)):
        ids = axes[named[entry]]
        if ids is not None:
            state_width_at(origin, ids, book)


register(
    {
        "Upsample": OperatorSpec(upsample, resize_coupling, read_by_python=(1,)),
        "Resize": OperatorSpec(resize, resize_coupling, read_by_python=(1, 2, 3)),
    },
)
