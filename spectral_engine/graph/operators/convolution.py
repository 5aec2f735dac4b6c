"""Conv and ConvTranspose, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder, Transfer
from spectral_engine.graph.ids import NodeIds
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import space_of
from spectral_engine.graph.operators.padding import explicit_pads, same_pads, split_pads
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node

CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


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
        if max(weight.shape[2:]) == 1 and not any(inside):
            x, stride = _every(x, stride), [1] * spatial
        return CONVOLUTIONS[spatial](x, weight, bias, stride, inside, dilation, group)

    return function


def _every(x: Tensor, strides: list[int]) -> Tensor:
    """Take of x [n, channels, …] what a kernel of one pixel reads.

    oneDNN writes beyond its buffers where it does so itself: in the gradient of strided 1×1 kernels on AVX2, with fewer
    than eight channels that lie last (torch 2.13).
    """
    return x[(slice(None), slice(None), *(slice(None, None, stride) for stride in strides))]


def transposed_convolution(node: Node, mode: Mode) -> Function:
    """The gradient of a convolution, as a layer; pads crop what it makes."""
    strides, dilations = node.get("strides", None), node.get("dilations", None)
    extra, group = node.get("output_padding", None), node.get("group", 1)

    def function(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        spatial = x.dim() - 2
        stride, dilation = strides or [1] * spatial, dilations or [1] * spatial
        added = extra or [0] * spatial
        begins, ends = _cropped(node, x, weight, stride, dilation, added)
        if begins == ends:
            return TRANSPOSED[spatial](x, weight, bias, stride, begins, added, group, dilation)
        # What is added at the end is part of the full result, so that it can also be cropped or padded.
        y = TRANSPOSED[spatial](x, weight, bias, stride, 0, added, group, dilation)
        crops = zip(reversed(begins), reversed(ends), strict=True)
        return F.pad(y, [-pad for pair in crops for pad in pair])

    return function


def _cropped(
    node: Node,
    x: Tensor,
    weight: Tensor,
    strides: list[int],
    dilations: list[int],
    added: list[int],
) -> tuple[list[int], list[int]]:
    """Return what to cut off at the beginnings and the ends: stated, or what the size of the output leaves."""
    spatial = len(strides)
    kind = node.get("auto_pad", "NOTSET")
    wanted = node.get("output_shape", None)
    if wanted is None and kind in {"SAME_UPPER", "SAME_LOWER"}:
        wanted = [size * stride for size, stride in zip(x.shape[2:], strides, strict=True)]
    if wanted is None:
        pads = explicit_pads(node, spatial) or [0] * (2 * spatial)
        return list(pads[:spatial]), list(pads[spatial:])
    sizes = zip(x.shape[2:], weight.shape[2:], strides, dilations, added, strict=True)
    full = [(n - 1) * s + d * (k - 1) + 1 + a for n, k, s, d, a in sizes]
    totals = [have - want for have, want in zip(full, wanted[-spatial:], strict=True)]
    halves = [total // 2 for total in totals]
    rests = [total - half for total, half in zip(totals, halves, strict=True)]
    return (halves, rests) if kind == "SAME_UPPER" else (rests, halves)


def deformable_convolution(node: Node, mode: Mode) -> Function:
    """A convolution in two dimensions whose samples lie where `offset` says, weighed by `mask`."""
    strides, dilations = node.get("strides", [1, 1]), node.get("dilations", [1, 1])
    pads, group = node.get("pads", [0, 0, 0, 0]), node.get("group", 1)
    offset_groups = node.get("offset_group", 1)

    def function(
        x: Tensor, weight: Tensor, offset: Tensor, bias: Any = None, mask: Any = None
    ) -> Tensor:
        if x.dim() != 4:
            raise node.unsupported("only two dimensions are supported")
        batch, (high, wide) = x.shape[0], offset.shape[2:]
        kernel = list(weight.shape[2:])
        displacements = offset.view(batch * offset_groups, kernel[0] * kernel[1], 2, high, wide)
        grid = displacements + _regular(kernel, (high, wide), strides, dilations, pads).to(x)
        sampled = _sample(x.reshape(batch * offset_groups, -1, *x.shape[2:]), grid)
        if mask is not None:
            sampled = sampled * mask.view(batch * offset_groups, 1, -1, high, wide)
        columns = sampled.reshape(batch, group, -1, high * wide)
        rows = weight.reshape(group, weight.shape[0] // group, -1)
        y = (rows @ columns).reshape(batch, -1, high, wide)
        return y if bias is None else y + bias.view(1, -1, 1, 1)

    return function


def _regular(
    kernel: list[int],
    out: tuple[int, int],
    strides: list[int],
    dilations: list[int],
    pads: list[int],
) -> Tensor:
    """Return where each tap of the kernel reads, without offsets [taps, 2, high, wide]."""
    rows = torch.arange(out[0]) * strides[0] - pads[0]
    columns = torch.arange(out[1]) * strides[1] - pads[1]
    taps = [
        torch.stack(
            torch.meshgrid(rows + i * dilations[0], columns + j * dilations[1], indexing="ij")
        )
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]
    return torch.stack(taps)


def _sample(x: Tensor, coordinates: Tensor) -> Tensor:
    """Interpolate at (row, column) [b, taps, 2, high, wide]; outside is zero. Gives [b, c, taps, high, wide]."""
    sizes = torch.tensor(x.shape[2:], device=x.device).view(2, 1, 1)
    unit = 2 * coordinates / (sizes - 1).clamp(min=1) - 1
    grid = unit.flip(2).movedim(2, -1).flatten(1, 2)  # [b, taps · high, wide, (column, row)]
    samples = F.grid_sample(x, grid, padding_mode="zeros", align_corners=True)
    return samples.view(*x.shape[:2], *coordinates.shape[1:2], *coordinates.shape[3:])


def convolution_coupling(node: Node, book: CouplingRecorder) -> None:
    """Weight [out, in / group, ...]; every output position takes a whole kernel."""
    ends = _ends(node, book, out_axis=0)
    _add_convolution(node, book, ends, positions=book.positions(node.outputs[0], 1), gain=1.0)


def transposed_coupling(node: Node, book: CouplingRecorder) -> None:
    """Weight [in, out / group, ...]; every input position spreads over a whole kernel."""
    ends = _ends(node, book, out_axis=1)
    gain = 1.0 / prod(node.get("strides", [1]))
    _add_convolution(node, book, ends, positions=book.positions(node.input(0), 1), gain=gain)


@dataclass(frozen=True)
class _Ends:
    """NodeIds along the output's channels and along the weight's first two axes, and which of these are the ends."""

    output: NodeIds
    weight: tuple[NodeIds | None, NodeIds | None]
    out_axis: int
    in_axis: int | None


def _ends(node: Node, book: CouplingRecorder, out_axis: int) -> _Ends:
    """Couple channels of input, output and weight.

    Several groups can be narrowed in two ways: whole groups go, with all that they read and make, or the same
    channel of every group goes. The way that leaves more nodes to choose from is taken.
    """
    channels, group = book.nodes_of(node.input(0), 1), node.get("group", 1)
    outputs, inside = book.shapes[node.outputs[0]][1], len(channels) // group
    if group > 1 and group >= inside:
        heads = book.unify_rows(NodeIds(channels.reshape(group, inside)))  # [group]
        book.state_width(node, heads, attribute="group")
        made = NodeIds(np.repeat(heads, outputs // group))
        return _Ends(made, (made if out_axis == 0 else channels, None), 0, None)
    book.unify_rows(NodeIds(channels.reshape(group, inside).T))
    of_one_group = book.fresh(outputs // group)
    made = NodeIds(np.tile(of_one_group, group))
    if out_axis == 0:
        return _Ends(made, (made, NodeIds(channels[:inside])), 0, 1)
    return _Ends(made, (channels, of_one_group), 1, 0)


def _add_convolution(
    node: Node, book: CouplingRecorder, ends: _Ends, positions: int, gain: float
) -> None:
    shape = book.shapes[node.input(1)]
    spatial = len(shape) - 2
    book.attach(node.input(1), (*ends.weight, *(None,) * spatial))
    each_alone = prod(shape[2:]) == 1 and _keeps_positions(node)
    space = space_of(node, book, each_alone=each_alone)
    book.write(node.outputs[0], (book.axis(node.input(0), 0), ends.output, *space))
    bias = node.input(2) if node.has_input(2) else None
    if bias is not None:
        book.attach(bias, (ends.output,))
    constant = book.constant(node.input(1))
    if constant is None:
        # A computed kernel is no transfer; its channels are coupled all the same, and what goes is kept out of its sum.
        if ends.in_axis is not None:
            book.mix(node, 1, ends.in_axis, "sum")
        return
    weight, order = constant
    links = prod(shape[2:]) * positions * (shape[1] if ends.in_axis is None else 1)
    book.add_transfer(
        Transfer(
            name=node.name,
            kind="grouped" if ends.in_axis is None else "conv",
            weight=weight,
            out_axis=order[ends.out_axis],
            in_axis=None if ends.in_axis is None else order[ends.in_axis],
            bias=bias if bias in book.float_initializers else None,
            source=node.input(0),
            output=node.outputs[0],
            macs_per_link=links,
            gain=gain,
        )
    )


def _keeps_positions(node: Node) -> bool:
    """Say whether a kernel of one entry answers each position of the input by itself."""
    moved = [*node.get("pads", []), *node.get("output_padding", [])]
    return not any(moved) and all(stride == 1 for stride in node.get("strides", []))


register(
    {
        "Conv": OperatorSpec(
            convolution, convolution_coupling, weights=(1, 2), single_weights=True
        ),
        "ConvTranspose": OperatorSpec(
            transposed_convolution, transposed_coupling, weights=(1, 2), single_weights=True
        ),
        "DeformConv": OperatorSpec(deformable_convolution, weights=(1, 2)),
    },
)
