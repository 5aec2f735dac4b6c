"""Operators on images: sampling, rearranging, regions and boxes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.ids import NodeIds
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import channels_only, space_of
from spectral_engine.graph.operators.types import check_size, numbers
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


def grid_sample(node: Node, mode: Mode) -> Function:
    """Read at places in [−1, 1]."""
    kinds = {"linear": "bilinear", "cubic": "bicubic"}
    kind = kinds.get(node.get("mode", "bilinear"), node.get("mode", "bilinear"))
    padding, corners = node.get("padding_mode", "zeros"), bool(node.get("align_corners", 0))

    def function(x: Tensor, grid: Tensor) -> Tensor:
        if kind == "bicubic" and x.dim() != 4:
            raise node.unsupported("cubic sampling of volumes is not supported")
        return F.grid_sample(x, grid.to(x.dtype), kind, padding, corners)

    return function


def depth_to_space(node: Node, mode: Mode) -> Function:
    """Channels become blocks of pixels."""
    block = node.get("blocksize", 1)
    columns_first = node.get("mode", "DCR") == "CRD"

    def function(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        if columns_first:
            y = x.view(n, c // block**2, block, block, h, w).permute(0, 1, 4, 2, 5, 3)
        else:
            y = x.view(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
        return y.reshape(n, c // block**2, h * block, w * block)

    return function


def space_to_depth(node: Node, mode: Mode) -> Function:
    """Blocks of pixels become channels."""
    block = node.get("blocksize", 1)

    columns_first = node.get("mode", "DCR") == "CRD"

    def function(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = x.view(n, c, h // block, block, w // block, block)
        order = (0, 1, 3, 5, 2, 4) if columns_first else (0, 3, 5, 1, 2, 4)
        return y.permute(order).reshape(n, c * block**2, h // block, w // block)

    return function


def columns_to_image(node: Node, mode: Mode) -> Function:
    """Blocks summed into an image [n, c, ...] from columns [n, c · block, positions]."""

    def function(x: Tensor, image: Tensor, block: Tensor) -> Tensor:
        sizes, kernel = numbers(image) or [], numbers(block) or []
        rank = len(sizes)
        strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
        pads = node.get("pads", [0] * (2 * rank))
        padded = [n + pads[i] + pads[i + rank] for i, n in enumerate(sizes)]
        counts = [
            (n - d * (k - 1) - 1) // s + 1
            for n, k, s, d in zip(padded, kernel, strides, dilations, strict=True)
        ]
        check_size(node, [x.shape[0], *padded])
        columns = x.view(x.shape[0], -1, *kernel, *counts)
        y = x.new_zeros(*columns.shape[:2], *padded)
        for tap in itertools.product(*map(range, kernel)):
            per_axis = zip(tap, strides, dilations, counts, strict=True)
            where = [slice(t * d, t * d + (n - 1) * s + 1, s) for t, s, d, n in per_axis]
            y[_inside(where)] += columns[_inside(tap)]
        return y[_inside([slice(pads[i], pads[i] + n) for i, n in enumerate(sizes)])]

    return function


def _inside(indices: Sequence[int | slice]) -> Any:
    """Index the axes behind samples and channels."""
    return (slice(None), slice(None), *indices)


def center_crop_pad(node: Node, mode: Mode) -> Function:
    """Cropped or padded with zeros to a shape, about the centre."""
    stated = node.get("axes", None)

    def function(x: Tensor, shape: Tensor) -> Tensor:
        sizes = numbers(shape) or []
        axes = range(x.dim()) if stated is None else [axis % x.dim() for axis in stated]
        around = [0] * (2 * x.dim())
        for axis, size in zip(axes, sizes, strict=True):
            change = size - x.shape[axis]
            before = change // 2 if change >= 0 else -(-change // 2)
            at = 2 * (x.dim() - 1 - axis)
            around[at], around[at + 1] = before, change - before
        check_size(node, [*sizes])
        return F.pad(x, around)

    return function


def roi_align(node: Node, mode: Mode) -> Function:
    """Each region's features on a fixed grid, read between the pixels."""
    high, wide = node.get("output_height", 1), node.get("output_width", 1)
    ratio, scale = node.get("sampling_ratio", 0), node.get("spatial_scale", 1.0)
    by_largest = node.get("mode", "avg") == "max"
    halved = (
        node.opset >= 16
        and node.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    )
    shift = 0.5 if halved else 0.0

    def function(x: Tensor, rois: Tensor, batches: Tensor) -> Tensor:
        pooled = []
        for box, batch in zip(rois.tolist(), batches.tolist(), strict=True):
            left, top, right, bottom = (value * scale - shift for value in box)
            width, height = right - left, bottom - top
            if not halved:
                width, height = max(width, 1.0), max(height, 1.0)
            rows = _bins(top, height, high, ratio).to(x)
            columns = _bins(left, width, wide, ratio).to(x)
            pooled.append(_pooled(x[int(batch)], rows, columns, by_largest))
        return torch.stack(pooled) if pooled else x.new_zeros(0, x.shape[1], high, wide)

    return function


def _bins(start: float, length: float, bins: int, ratio: int) -> Tensor:
    """Return where each bin is sampled [bins, samples]."""
    samples = ratio or max(1, math.ceil(length / bins))
    step = length / bins
    offsets = (torch.arange(samples, dtype=torch.float64) + 0.5) * step / samples
    return start + step * torch.arange(bins, dtype=torch.float64)[:, None] + offsets


def _pooled(x: Tensor, rows: Tensor, columns: Tensor, by_largest: bool) -> Tensor:
    """Interpolate a map [c, h, w] at every row and column, and take each bin's mean or largest."""
    row_low, row_share, row_inside = _between(rows.flatten(), x.shape[1])
    low, share, inside = _between(columns.flatten(), x.shape[2])
    row_high, high = (row_low + 1).clamp(max=x.shape[1] - 1), (low + 1).clamp(max=x.shape[2] - 1)
    row_share = row_share[:, None]
    corners = torch.stack(
        [
            x[:, row_low][:, :, low] * (1 - row_share) * (1 - share),
            x[:, row_low][:, :, high] * (1 - row_share) * share,
            x[:, row_high][:, :, low] * row_share * (1 - share),
            x[:, row_high][:, :, high] * row_share * share,
        ]
    )
    corners = corners * (row_inside[:, None] & inside)
    # The largest is taken over the weighed corners, as ONNX defines it.
    values = corners.amax(0) if by_largest else corners.sum(0)
    blocks = values.view(
        x.shape[0], *rows.shape, *columns.shape
    )  # [c, high, samples, wide, samples]
    return blocks.amax((2, 4)) if by_largest else blocks.mean((2, 4))


def _between(coordinates: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    inside = (coordinates >= -1) & (coordinates <= size)
    coordinates = coordinates.clamp(0, size - 1)
    low = coordinates.floor()
    return low.long(), coordinates - low, inside


def non_max_suppression(node: Node, mode: Mode) -> Function:
    """Rows of (batch, class, box): the best boxes of each class that do not overlap better ones."""
    centred = bool(node.get("center_point_box", 0))

    def function(
        boxes: Tensor, scores: Tensor, most: Any = None, overlap: Any = None, least: Any = None
    ) -> Tensor:
        limit = 0 if most is None else int(most)
        threshold = 0.0 if overlap is None else float(overlap)
        lowest = -math.inf if least is None else float(least)
        corners = _corners(boxes.detach().cpu().numpy(), centred)
        rows = [
            (batch, kind, box)
            for batch, classes in enumerate(scores.detach().cpu().numpy())
            for kind, row in enumerate(classes)
            for box in _best(corners[batch], row, limit, threshold, lowest)
        ]
        return torch.tensor(rows, dtype=torch.int64, device=boxes.device).view(-1, 3)

    return function


def _corners(boxes: NDArray[Any], centred: bool) -> NDArray[Any]:
    """Return (low, low, high, high) of every box."""
    if centred:
        x, y, w, h = np.moveaxis(boxes, -1, 0)
        return np.stack([y - h / 2, x - w / 2, y + h / 2, x + w / 2], axis=-1)
    a, b = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([np.minimum(a, b), np.maximum(a, b)], axis=-1)


def _best(
    boxes: NDArray[Any], scores: NDArray[Any], limit: int, threshold: float, lowest: float
) -> list[int]:
    kept: list[int] = []
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)
    for index in np.argsort(-scores, kind="stable"):
        if len(kept) >= limit or scores[index] <= lowest:
            break
        rest = boxes[kept]
        low = np.maximum(boxes[index, :2], rest[:, :2])
        high = np.minimum(boxes[index, 2:], rest[:, 2:])
        shared = np.prod(np.clip(high - low, 0, None), axis=-1)
        union = areas[index] + areas[kept] - shared
        if not ((shared > 0) & (shared > threshold * union)).any():
            kept.append(int(index))
    return kept


def grid_sample_coupling(node: Node, book: CouplingRecorder) -> None:
    """Every channel alone, read at the same places."""
    book.pin_value(node.input(1), "says where to read")
    book.pin(book.axis(node.input(0), 0), "is read at places of its own")
    channels_only(node, book)


def roi_align_coupling(node: Node, book: CouplingRecorder) -> None:
    """Every channel alone; each answer is of the row that it names."""
    space = space_of(node, book)
    book.pin(book.axis(node.input(0), 0), "is read by its number")
    book.write(node.outputs[0], (None, book.axis(node.input(0), 1), *space))


def depth_to_space_coupling(node: Node, book: CouplingRecorder) -> None:
    """The channels of one block become one node."""
    space_of(node, book)
    block, ids = node.get("blocksize", 1) ** 2, book.axis(node.input(0), 1)
    if ids is None:
        return
    rows = ids.reshape(-1, block) if node.get("mode", "DCR") == "CRD" else ids.reshape(block, -1).T
    book.write(node.outputs[0], (None, book.unify_rows(NodeIds(rows)), None, None))


def space_to_depth_coupling(node: Node, book: CouplingRecorder) -> None:
    """A node's pixels become channels that go together."""
    space_of(node, book)
    block, ids = node.get("blocksize", 1) ** 2, book.axis(node.input(0), 1)
    if ids is not None:
        crd = node.get("mode", "DCR") == "CRD"
        channels = NodeIds(np.repeat(ids, block) if crd else np.tile(ids, block))
        book.write(node.outputs[0], (None, channels, None, None))


register(
    {
        "GridSample": OperatorSpec(grid_sample, grid_sample_coupling),
        "DepthToSpace": OperatorSpec(depth_to_space, depth_to_space_coupling),
        "SpaceToDepth": OperatorSpec(space_to_depth, space_to_depth_coupling),
        "Col2Im": OperatorSpec(columns_to_image, read_by_python=(1, 2)),
        "CenterCropPad": OperatorSpec(center_crop_pad, read_by_python=(1,)),
        "RoiAlign": OperatorSpec(roi_align, roi_align_coupling, read_by_python=(1, 2)),
        "NonMaxSuppression": OperatorSpec(
            non_max_suppression, read_by_python=(2, 3, 4), in_single=True
        ),
    },
)
