"""A transfer of a narrow model beside the same one of the wide model: what can be solved for, and of which samples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from spectral_engine.compensation.samples import (
    Patches,
    dense_samples,
    matrix_of,
    output_samples,
    weight_of,
)
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.graph.ids import GroupIds
from spectral_engine.onnx_io.node import Node
from spectral_engine.spectral.model import SpectralModel

MOST_INPUTS = 4608  # of one output: their moments take the square of it, 8 bytes each
ROUNDING = 1e-3  # of the output's mean size: by so much W x + b may miss what the graph computes
SAMPLES_PER_INPUT, LEAST_SAMPLES = 8, 4096
SPREAD = 512  # rows over which a convolution's samples are spread at least


@dataclass(frozen=True)
class LinearMap:
    """y = Wᵀx + b, as one transfer computes it of one value."""

    transfer: Transfer
    in_axis: int  # of the value that comes in, where its nodes lie
    out_axis: int
    patches: Patches | None  # of a convolution

    @classmethod
    def of(cls, model: SpectralModel, transfer: Transfer) -> LinearMap | None:
        """Return the map of a dense transfer or a convolution of one group; None of all else."""
        coupling, slots = model.coupling, model.module.plan.slots
        axes = coupling.axes[transfer.weight]
        inputs = None if transfer.in_axis is None else axes[transfer.in_axis]
        outputs = axes[transfer.out_axis]
        if inputs is None or outputs is None or not {transfer.source, transfer.output} <= {*slots}:
            return None
        in_axis = axis_of(model, transfer.source, inputs)
        out_axis = axis_of(model, transfer.output, outputs)
        if in_axis is None or out_axis is None:
            return None
        kernel = tuple(
            size
            for axis, size in enumerate(model.module.initializer(transfer.weight).shape)
            if axis not in (transfer.in_axis, transfer.out_axis)
        )
        if transfer.kind == "dense" and not kernel:
            return cls(transfer, in_axis, out_axis, None)
        node = _convolution(model, transfer)
        if transfer.kind != "conv" or node is None or (in_axis, out_axis) != (1, 1):
            return None
        return cls(transfer, in_axis, out_axis, Patches(node, kernel))

    def inputs(self, model: SpectralModel) -> int:
        """Return how many numbers one sample reads."""
        shape = model.module.initializer(self.transfer.weight).shape
        return prod(shape) // int(shape[self.transfer.out_axis])

    def wanted(self, model: SpectralModel) -> int:
        """Return how many samples are enough."""
        return max(LEAST_SAMPLES, SAMPLES_PER_INPUT * self.inputs(model))

    def positions(self, output: Tensor, wanted: int, seed: int) -> Tensor:
        """Draw the flat positions of a convolution's output that are looked at in one batch [s]."""
        count = prod(output.shape[2:])
        some = min(count, max(1, -(-wanted // SPREAD)))
        drawn = np.random.default_rng(seed).choice(count, some, replace=False)
        return torch.from_numpy(np.sort(drawn)).to(output.device)

    def x(self, source: Tensor, space: tuple[int, ...], positions: Tensor | None) -> Tensor:
        """Return what samples read [samples, in]."""
        if self.patches is None or positions is None:
            return dense_samples(source, self.in_axis)
        return self.patches.samples(source, space, positions)

    def y(self, output: Tensor, positions: Tensor | None) -> Tensor:
        """Return what samples answer [samples, out]."""
        if positions is None:
            return dense_samples(output, self.out_axis)
        return output_samples(output, positions)

    def matrix(self, model: SpectralModel) -> Tensor:
        """Return W [in, out]."""
        return matrix_of(model.weight(self.transfer.weight), self.transfer)

    def set_matrix(self, model: SpectralModel, matrix: Tensor) -> None:
        """Put another W [in, out] in its place."""
        like = model.weight(self.transfer.weight)
        model.set_weight(self.transfer.weight, weight_of(matrix, like, self.transfer))

    def bias(self, model: SpectralModel) -> Tensor | None:
        """Return b [out], where there is one."""
        name = self.transfer.bias
        return None if name is None else model.module.initializer(name).detach().flatten()

    def computes(self, model: SpectralModel, x: Tensor, y: Tensor) -> bool:
        """Say whether the graph's output of these samples is Wᵀx + b, up to rounding."""
        matrix, bias = self.matrix(model), self.bias(model)
        if x.shape[1] != matrix.shape[0] or y.shape != (len(x), matrix.shape[1]):
            return False
        said = x @ matrix if bias is None else x @ matrix + bias
        return bool((said - y).abs().max() <= ROUNDING * y.abs().mean().clamp_min(1e-6))


def axis_of(model: SpectralModel, value: str, ids: GroupIds) -> int | None:
    """Return the axis of a value that holds these nodes."""
    for axis, along in enumerate(model.coupling.axes.get(value, ())):
        if along is not None and np.array_equal(along, ids):
            return axis
    return None


def readings(model: SpectralModel) -> Counter[str]:
    """Count how often the nodes of a graph read each value."""
    return Counter(name for node in model.module.every_node for name in node.inputs if name)


def _convolution(model: SpectralModel, transfer: Transfer) -> Node | None:
    """Return the convolution of one group that a transfer is of."""
    for node in model.module.nodes:
        if node.op_type == "Conv" and transfer.weight in node.inputs[1:2]:
            return node if node.get("group", 1) == 1 else None
    return None
