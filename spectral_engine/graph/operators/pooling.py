"""Pools, over windows and over all positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import channels_only
from spectral_engine.graph.operators.padding import explicit_pads, same_pads, split_pads
from spectral_engine.graph.operators.types import numbers
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node

MAX_POOLS: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE_POOLS: dict[int, Callable[..., Tensor]] = {
    1: F.avg_pool1d,
    2: F.avg_pool2d,
    3: F.avg_pool3d,
}


def rounded(pool: Callable[[Node, bool], Function], node: Node) -> Function:
    """Return a pool that gives a window where it reaches beyond all there is by less than a stride.

    onnxruntime rounds the number of windows towards zero, so that there is one where torch finds a size too small.
    Rounded up, as `ceil_mode` asks for, there is one as well; other axes then lose the window that they have too many.
    """
    kernel: list[int] = node.get("kernel_shape", [])
    spatial = len(kernel)
    strides, dilations = node.get("strides", [1] * spatial), node.get("dilations", [1] * spatial)
    extents = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    asked = bool(node.get("ceil_mode", 0))
    plain, upwards = pool(node, asked), pool(node, True)

    def function(x: Tensor) -> Any:
        pads = explicit_pads(node, spatial)
        if asked or pads is None:
            return plain(x)
        beyond = [  # how far the first window reaches
            extent - size - begin - end
            for extent, size, begin, end in zip(
                extents, x.shape[2:], pads[:spatial], pads[spatial:], strict=True
            )
        ]
        pairs = zip(beyond, strides, strict=True)
        if not any(0 < more < stride for more, stride in pairs):
            return plain(x)
        counts = [max(0, -more // stride) + 1 for more, stride in zip(beyond, strides, strict=True)]
        kept_windows = (..., *(slice(count) for count in counts))
        pooled = upwards(x)
        return (
            tuple(one[kept_windows] for one in pooled)
            if isinstance(pooled, tuple)
            else pooled[kept_windows]
        )

    return function


def max_pool(node: Node, mode: Mode) -> Function:
    """Padding never wins; where they are asked for, the places in the whole tensor too."""
    return rounded(_max_pool, node)


def _max_pool(node: Node, ceil: bool) -> Function:
    kernel: list[int] = node.get("kernel_shape", [])
    spatial, placed = len(kernel), len(node.outputs) > 1
    strides, dilations = node.get("strides", [1] * spatial), node.get("dilations", [1] * spatial)
    extents = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]

    def function(x: Tensor) -> Any:
        if not x.is_floating_point():
            pooled = function(x.double())
            return (pooled[0].to(x.dtype), pooled[1]) if placed else pooled.to(x.dtype)
        pads = explicit_pads(node, spatial) or same_pads(node, x.shape[2:], extents, strides)
        inside, outside = split_pads(pads)
        halves = all(2 * pad <= size for pad, size in zip(inside, kernel, strict=True))
        if not placed and outside is None and halves:
            return MAX_POOLS[spatial](x, kernel, strides, inside, dilations, ceil)
        around = F.pad(x, outside or _around(inside), value=float("-inf"))
        values = MAX_POOLS[spatial](
            around, kernel, strides, 0, dilations, ceil, return_indices=placed
        )
        if not placed:
            return values
        begins = pads[:spatial]
        order = bool(node.get("storage_order", 0))
        return values[0], _flat_indices(values[1], around.shape, x.shape, begins, order)

    return function


def _flat_indices(
    indices: Tensor, padded: Sequence[int], shape: Sequence[int], begins: list[int], by_column: bool
) -> Tensor:
    """Turn indices within one padded channel into indices within the whole tensor."""
    coordinates = []
    for size, begin in zip(reversed(padded[2:]), reversed(begins), strict=True):
        coordinates.append(indices % size - begin)
        indices = indices // size
    sizes = list(shape[2:])
    if by_column:
        pairs = list(zip(sizes, reversed(coordinates), strict=True))[::-1]
    else:
        pairs = list(zip(sizes, reversed(coordinates), strict=True))
    flat = torch.zeros_like(indices)
    for size, coordinate in pairs:
        flat = flat * size + coordinate
    channels = torch.arange(shape[0] * shape[1], device=indices.device)
    return flat + channels.view(shape[0], shape[1], *[1] * len(sizes)) * math.prod(sizes)


def max_unpool(node: Node, mode: Mode) -> Function:
    """Values put back where a MaxPool took them from; the rest is zero."""
    kernel = node.get("kernel_shape", [])
    strides = node.get("strides", [1] * len(kernel))
    pads = node.get("pads", [0] * (2 * len(kernel)))

    def function(x: Tensor, indices: Tensor, shape: Tensor | None = None) -> Tensor:
        spatial = [
            (n - 1) * s + k - pads[i] - pads[i + len(kernel)]
            for i, (n, s, k) in enumerate(zip(x.shape[2:], strides, kernel, strict=True))
        ]
        small = [*x.shape[:2], *spatial]
        flat = x.new_zeros(math.prod(small)).scatter(0, indices.flatten(), x.flatten()).view(small)
        wanted = numbers(shape)
        if wanted is None:
            return flat
        ends = zip(reversed(wanted), reversed(small), strict=True)
        return F.pad(flat, [pad for want, have in ends for pad in (0, want - have)])

    return function


def average_pool(node: Node, mode: Mode) -> Function:
    """Padding counts only where `count_include_pad` says so."""
    return rounded(_average_pool, node)


def _average_pool(node: Node, ceil: bool) -> Function:
    kernel: list[int] = node.get("kernel_shape", [])
    spatial = len(kernel)
    strides, dilations = node.get("strides", [1] * spatial), node.get("dilations", [1] * spatial)
    counted = bool(node.get("count_include_pad", 0))
    extents = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    dilated = any(d != 1 for d in dilations)

    def function(x: Tensor) -> Tensor:
        pads = explicit_pads(node, spatial) or same_pads(node, x.shape[2:], extents, strides)
        inside, outside = split_pads(pads)
        if dilated:
            around = outside or _around(inside)
            total = windows(F.pad(x, around), kernel, strides, dilations, ceil)
            share = F.pad(torch.ones_like(x[:1, :1]), around, value=float(counted))
            count = windows(share, kernel, strides, dilations, ceil)
            return total.flatten(2 + spatial).sum(-1) / count.flatten(2 + spatial).sum(-1).clamp(1)
        if outside is None and all(
            2 * pad <= size for pad, size in zip(inside, kernel, strict=True)
        ):
            return AVERAGE_POOLS[spatial](x, kernel, strides, inside, ceil, counted)
        return _padded_average(x, kernel, strides, outside or _around(inside), ceil, counted)

    return function


def lp_pool(node: Node, mode: Mode) -> Function:
    """The p-norm of each window."""
    return rounded(_lp_pool, node)


def _lp_pool(node: Node, ceil: bool) -> Function:
    kernel: list[int] = node.get("kernel_shape", [])
    spatial = len(kernel)
    strides, dilations = node.get("strides", [1] * spatial), node.get("dilations", [1] * spatial)
    p = node.get("p", 2)
    extents = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]

    def function(x: Tensor) -> Tensor:
        pads = explicit_pads(node, spatial) or same_pads(node, x.shape[2:], extents, strides)
        inside, outside = split_pads(pads)
        blocks = windows(F.pad(x, outside or _around(inside)), kernel, strides, dilations, ceil)
        norm: Tensor = torch.linalg.vector_norm(blocks.flatten(2 + spatial), p, dim=-1)
        return norm

    return function


def windows(
    x: Tensor, kernel: list[int], strides: list[int], dilations: list[int], ceil: bool
) -> Tensor:
    """Return every window of a padded tensor [n, c, positions..., kernel...]; with `ceil`, those that reach beyond."""
    spatial = len(kernel)
    extents = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    if ceil:
        gaps = [
            -(size - extent) % stride
            for size, extent, stride in zip(x.shape[2:], extents, strides, strict=True)
        ]
        x = F.pad(x, [pad for gap in reversed(gaps) for pad in (0, gap)])
    for axis in range(spatial):
        x = x.unfold(2 + axis, extents[axis], strides[axis])
    dilated: tuple[Any, ...] = (..., *(slice(None, None, dilation) for dilation in dilations))
    return x[dilated]


def _padded_average(
    x: Tensor, kernel: list[int], strides: list[int], pads: list[int], ceil: bool, counted: bool
) -> Tensor:
    pool = AVERAGE_POOLS[len(kernel)]
    total = pool(F.pad(x, pads), kernel, strides, 0, ceil, True)
    if counted:
        return total
    share = pool(F.pad(torch.ones_like(x[:1, :1]), pads), kernel, strides, 0, ceil, True)
    return total / share


def _around(inside: list[int]) -> list[int]:
    return [pad for size in reversed(inside) for pad in (size, size)]


def global_average_pool(node: Node, mode: Mode) -> Function:
    """The mean over all positions, which stay as axes of length 1."""
    return lambda x: x.mean(dim=tuple(range(2, x.dim())), keepdim=True)


def global_max_pool(node: Node, mode: Mode) -> Function:
    """The largest over all positions, which stay as axes of length 1."""
    return lambda x: x.amax(dim=tuple(range(2, x.dim())), keepdim=True)


def global_lp_pool(node: Node, mode: Mode) -> Function:
    """The p-norm over all positions, which stay as axes of length 1."""
    p = node.get("p", 2)
    return lambda x: torch.linalg.vector_norm(x, p, dim=tuple(range(2, x.dim())), keepdim=True)


def pool_coupling(node: Node, book: CouplingRecorder) -> None:
    """Every channel alone, over its positions."""
    channels_only(node, book)


register(
    {
        "MaxPool": OperatorSpec(max_pool, pool_coupling),
        "MaxUnpool": OperatorSpec(max_unpool, read_by_python=(2,), in_single=True),
        "AveragePool": OperatorSpec(average_pool, pool_coupling),
        "LpPool": OperatorSpec(lp_pool, pool_coupling),
        "GlobalAveragePool": OperatorSpec(global_average_pool, pool_coupling),
        "GlobalMaxPool": OperatorSpec(global_max_pool, pool_coupling),
        "GlobalLpPool": OperatorSpec(global_lp_pool, pool_coupling),
    },
)
