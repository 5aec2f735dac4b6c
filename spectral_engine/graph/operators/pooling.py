"""Pools, over windows and over all positions."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.id_book import IdBook
from spectral_engine.graph.node import Node
from spectral_engine.graph.operators.axes import channels_only
from spectral_engine.graph.operators.padding import explicit_pads, same_pads, split_pads
from spectral_engine.graph.operators.registry import Function, Mode, coupling, operator

MAX_POOLS: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE_POOLS: dict[int, Callable[..., Tensor]] = {
    1: F.avg_pool1d,
    2: F.avg_pool2d,
    3: F.avg_pool3d,
}


@operator("MaxPool")
def max_pool(node: Node, mode: Mode) -> Function:
    """Padding never wins; the indices output is not supported."""
    if len([name for name in node.outputs if name]) > 1:
        raise node.unsupported("the output of indices is not supported")
    kernel: list[int] = node.get("kernel_shape", [])
    spatial = len(kernel)
    strides, dilations = node.get("strides", [1] * spatial), node.get("dilations", [1] * spatial)
    ceil = bool(node.get("ceil_mode", 0))
    extents = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]

    def function(x: Tensor) -> Tensor:
        pads = explicit_pads(node, spatial) or same_pads(node, x.shape[2:], extents, strides)
        inside, outside = split_pads(pads)
        if outside is None and all(
            2 * pad <= size for pad, size in zip(inside, kernel, strict=True)
        ):
            return MAX_POOLS[spatial](x, kernel, strides, inside, dilations, ceil)
        x = F.pad(x, outside or _around(inside), value=float("-inf"))
        return MAX_POOLS[spatial](x, kernel, strides, 0, dilations, ceil)

    return function


@operator("AveragePool")
def average_pool(node: Node, mode: Mode) -> Function:
    """Padding counts only where `count_include_pad` says so."""
    kernel: list[int] = node.get("kernel_shape", [])
    spatial = len(kernel)
    strides, dilations = node.get("strides", [1] * spatial), node.get("dilations", [1] * spatial)
    ceil, counted = bool(node.get("ceil_mode", 0)), bool(node.get("count_include_pad", 0))
    if any(d != 1 for d in dilations):
        raise node.unsupported("dilations are not supported")

    def function(x: Tensor) -> Tensor:
        pads = explicit_pads(node, spatial) or same_pads(node, x.shape[2:], kernel, strides)
        inside, outside = split_pads(pads)
        if outside is None and all(
            2 * pad <= size for pad, size in zip(inside, kernel, strict=True)
        ):
            return AVERAGE_POOLS[spatial](x, kernel, strides, inside, ceil, counted)
        return _padded_average(x, kernel, strides, outside or _around(inside), ceil, counted)

    return function


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


@operator("GlobalAveragePool")
def global_average_pool(node: Node, mode: Mode) -> Function:
    """The mean over all positions, which stay as axes of length 1."""
    return lambda x: x.mean(dim=tuple(range(2, x.dim())), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(node: Node, mode: Mode) -> Function:
    """The largest over all positions, which stay as axes of length 1."""
    return lambda x: x.amax(dim=tuple(range(2, x.dim())), keepdim=True)


@coupling("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def pool_coupling(node: Node, book: IdBook) -> None:
    """Every channel alone, over its positions."""
    channels_only(node, book)
