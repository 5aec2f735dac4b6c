"""Conv and ConvTranspose, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.id_book import IdBook, Ids, Transfer
from spectral_engine.graph.node import Node
from spectral_engine.graph.operators.padding import explicit_pads, same_pads, split_pads
from spectral_engine.graph.operators.registry import Function, Mode, coupling, operator

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


@coupling("Conv")
def convolution_coupling(node: Node, book: IdBook) -> None:
    """Weight [out, in / group, ...]; every output position takes a whole kernel."""
    ends = _ends(node, book, out_axis=0)
    _add_convolution(node, book, ends, positions=book.positions(node.outputs[0], 1), gain=1.0)


@coupling("ConvTranspose")
def transposed_coupling(node: Node, book: IdBook) -> None:
    """Weight [in, out / group, ...]; every input position spreads over a whole kernel."""
    ends = _ends(node, book, out_axis=1)
    gain = 1.0 / prod(node.get("strides", [1]))
    _add_convolution(node, book, ends, positions=book.positions(node.input(0), 1), gain=gain)


@dataclass(frozen=True)
class _Ends:
    """Ids along the output's channels and along the weight's first two axes, and which of these are the ends."""

    output: Ids
    weight: tuple[Ids | None, Ids | None]
    out_axis: int
    in_axis: int | None


def _ends(node: Node, book: IdBook, out_axis: int) -> _Ends:
    """Couple channels of input, output and weight.

    Several groups can be narrowed in two ways: whole groups go, with all that they read and make, or the same
    channel of every group goes. The way that leaves more nodes to choose from is taken.
    """
    channels, group = book.nodes_of(node.input(0), 1), node.get("group", 1)
    outputs, inside = book.shapes[node.outputs[0]][1], len(channels) // group
    if group > 1 and group >= inside:
        rows = channels.reshape(group, inside)
        _unify_along(rows, book)
        book.state_width(node, rows[:, 0], attribute="group")
        made = np.repeat(rows[:, 0], outputs // group)
        return _Ends(made, (made if out_axis == 0 else channels, None), 0, None)
    _unify_along(channels.reshape(group, inside).T, book)
    own = book.fresh(outputs // group)
    made = np.tile(own, group)
    if out_axis == 0:
        return _Ends(made, (made, channels[:inside]), 0, 1)
    return _Ends(made, (channels, own), 1, 0)


def _unify_along(rows: Ids, book: IdBook) -> None:
    """Make each row [row, members] one node."""
    if rows.shape[1] > 1:
        book.unify(np.repeat(rows[:, 0], rows.shape[1]), rows.reshape(-1))


def _add_convolution(node: Node, book: IdBook, ends: _Ends, positions: int, gain: float) -> None:
    shape = book.shapes[node.input(1)]
    spatial = len(shape) - 2
    book.attach(node.input(1), (*ends.weight, *(None,) * spatial))
    book.write(node.outputs[0], (None, ends.output, *(None,) * spatial))
    bias = node.input(2) if node.has_input(2) else None
    if bias is not None:
        book.attach(bias, (ends.output,))
    found = book.constant(node.input(1))
    if found is None:
        return  # a computed kernel is no transfer; its channels are coupled all the same
    weight, order = found
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
