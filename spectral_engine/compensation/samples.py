"""A transfer as a matrix: which numbers of its input and of its output belong to one sample.

A dense transfer has a sample at each place beside its nodes; a convolution one at each position of its output, whose
input is the patch that the kernel covers.
"""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.graph.operators.padding import explicit_pads, same_pads
from spectral_engine.onnx_io.node import Node


def dense_samples(value: Tensor, axis: int) -> Tensor:
    """Lay a value's nodes last, and all else out as samples [samples, nodes]."""
    return value.movedim(axis, -1).flatten(0, -2)


def output_samples(value: Tensor, positions: Tensor) -> Tensor:
    """Return a convolution's output [n, out, …] at flat positions [s] as samples [n·s, out]."""
    return value.flatten(2)[:, :, positions].movedim(1, -1).flatten(0, 1)


class Patches:
    """The patches that a convolution with kernel sizes `kernel` reads; one group."""

    def __init__(self, node: Node, kernel: tuple[int, ...]) -> None:
        self.node, self.kernel = node, kernel
        self.strides = node.get("strides", None) or [1] * len(kernel)
        self.dilations = node.get("dilations", None) or [1] * len(kernel)

    def samples(self, value: Tensor, space: tuple[int, ...], positions: Tensor) -> Tensor:
        """Return the patches of an input [n, in, …] below flat output positions [s] as [n·s, in · taps].

        `space` are the output's sizes.
        """
        padded = self._padded(value)
        index = self._index(tuple(padded.shape[2:]), space, positions)  # [s, taps]
        patches = padded.flatten(2)[:, :, index]  # [n, in, s, taps]
        return patches.movedim(1, 2).flatten(2).flatten(0, 1)

    def _padded(self, value: Tensor) -> Tensor:
        spatial = len(self.kernel)
        extents = [d * (k - 1) + 1 for d, k in zip(self.dilations, self.kernel, strict=True)]
        stated = explicit_pads(self.node, spatial)
        pads = stated or same_pads(self.node, value.shape[2:], extents, self.strides)
        around = [
            pad for axis in reversed(range(spatial)) for pad in (pads[axis], pads[axis + spatial])
        ]
        return F.pad(value, around)

    def _index(self, sizes: tuple[int, ...], space: tuple[int, ...], positions: Tensor) -> Tensor:
        """Return where in the padded input, laid out flat, each position's taps lie [s, taps]."""
        places = np.stack(np.unravel_index(positions.cpu().numpy(), space), axis=1)  # [s, axes]
        taps = np.array(list(product(*(range(size) for size in self.kernel))))  # [taps, axes]
        read = places[:, None] * np.array(self.strides) + taps[None] * np.array(self.dilations)
        steps = np.array([prod(sizes[axis + 1 :]) for axis in range(len(sizes))])
        return torch.from_numpy((read * steps).sum(axis=2)).to(positions.device)


def matrix_of(weight: Tensor, transfer: Transfer) -> Tensor:
    """Return a weight as [in · taps, out]."""
    assert transfer.in_axis is not None
    turned = weight.detach().movedim((transfer.in_axis, transfer.out_axis), (0, -1))
    return turned.flatten(0, -2)


def weight_of(matrix: Tensor, like: Tensor, transfer: Transfer) -> Tensor:
    """Return a matrix [in · taps, out] in the shape of the weight."""
    assert transfer.in_axis is not None
    turned = like.movedim((transfer.in_axis, transfer.out_axis), (0, -1))
    laid_out = matrix.to(like.dtype).reshape(turned.shape)
    return laid_out.movedim((0, -1), (transfer.in_axis, transfer.out_axis)).contiguous()
