"""Conv and ConvTranspose, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.node import Node
from spectral_engine.graph.operators.padding import explicit_pads, same_pads, split_pads
from spectral_engine.graph.operators.registry import Function, Mode, operator

CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


@operator("Conv")
def convolution(node: Node, mode: Mode) -> Function:
    """Pads may differ at the two ends of an axis; then they are added before."""
    strides, dilations = node.get("strides", None), node.get("dilations", None)
    group = node.get("group", 1)

    def function(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        spatial = x.dim() - 2
        stride, dilation = strides or [1] * spatial, dilations or [1] * spatial
        extents = [d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True)]
        pads = explicit_pads(node, spatial) or same_pads(node, x.shape[2:], extents, stride)
        inside, outside = split_pads(pads)
        if outside is not None:
            x = F.pad(x, outside)
        return CONVOLUTIONS[spatial](x, weight, bias, stride, inside, dilation, group)

    return function


@operator("ConvTranspose")
def transposed_convolution(node: Node, mode: Mode) -> Function:
    """The gradient of a convolution, as a layer; only pads that are stated."""
    if (
        node.get("auto_pad", "NOTSET") not in {"NOTSET", "VALID"}
        or "output_shape" in node.attributes
    ):
        raise node.unsupported("auto_pad and output_shape are not supported")
    strides, dilations = node.get("strides", None), node.get("dilations", None)
    extra, group = node.get("output_padding", None), node.get("group", 1)

    def function(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        spatial = x.dim() - 2
        stride, dilation = strides or [1] * spatial, dilations or [1] * spatial
        pads = node.get("pads", [0] * (2 * spatial))
        y = TRANSPOSED[spatial](x, weight, bias, stride, 0, extra or 0, group, dilation)
        crop = [
            -pad for axis in reversed(range(spatial)) for pad in (pads[axis], pads[axis + spatial])
        ]
        return F.pad(y, crop) if any(crop) else y

    return function
