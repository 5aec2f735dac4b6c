"""What a removed node leaves behind: its mean activation, in the biases of those that read it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.compensation.linear_map import axis_of
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.graph.ids import GroupIds
from spectral_engine.graph.surgery import left_behind
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.feed import Batch

CALIBRATION_ROWS = 1024


@torch.no_grad()
def fold_means(model: SpectralModel, removed: NDArray[np.bool_], batches: Iterable[Batch]) -> None:
    """Add Σ_removed w_ij · mean(x_j) to what every transfer that reads a removed node gives.

    It goes into the transfer's bias, or into the running mean of the normalisation directly after it.
    Exact where the node is constant on the batches; the best constant, in squared error, where it is not.
    """
    readers = [
        transfer for transfer in model.coupling.transfers if _loses(model, transfer, removed)
    ]
    if not readers:
        return
    means = mean_inputs(model, readers, batches)
    for transfer in readers:
        weight = model.weight(transfer.weight)
        ids = model.coupling.axes[transfer.weight]
        left = left_behind(weight, transfer, ids, removed, means[transfer.name])  # [out]
        if _has_bias(model, transfer):
            bias = model.module.initializer(transfer.bias or "")
            bias.add_(left.view_as(bias))
        else:  # what is added before a normalisation is what its running mean has too much
            mean = model.module.initializer(transfer.norm_mean or "")
            mean.sub_(left.view_as(mean))


def mean_inputs(
    model: SpectralModel, readers: list[Transfer], batches: Iterable[Batch]
) -> dict[str, Tensor]:
    """Return the mean of each transfer's input over rows and positions: transfer name -> [in]."""
    axes = {transfer.name: _node_axis(model, transfer) for transfer in readers}
    totals: dict[str, Tensor] = {}
    rows = 0
    was_training = model.module.training
    model.module.eval()
    for batch in batches:
        values = model(batch.inputs, watch={transfer.source for transfer in readers})
        rows += len(batch.rows)
        for transfer in readers:
            value = values[transfer.source].transpose(0, axes[transfer.name])
            mean = value.flatten(1).mean(dim=1) * len(batch.rows)  # [in]
            totals[transfer.name] = totals.get(transfer.name, torch.zeros_like(mean)) + mean
    model.module.train(was_training)
    return {name: total / rows for name, total in totals.items()}


def _loses(model: SpectralModel, transfer: Transfer, removed: NDArray[np.bool_]) -> bool:
    ids = _in_ids(model, transfer)
    if ids is None or not (_has_bias(model, transfer) or transfer.norm_mean is not None):
        return False
    if transfer.source not in model.module.plan.slots:
        return False  # in the body of an If: what runs there cannot be watched
    return bool(removed[ids].any()) and axis_of(model, transfer.source, ids) is not None


def _has_bias(model: SpectralModel, transfer: Transfer) -> bool:
    return transfer.bias is not None and transfer.bias in model.module.trainable


def _in_ids(model: SpectralModel, transfer: Transfer) -> GroupIds | None:
    if transfer.in_axis is None:
        return None
    return model.coupling.axes[transfer.weight][transfer.in_axis]


def _node_axis(model: SpectralModel, transfer: Transfer) -> int:
    ids = _in_ids(model, transfer)
    axis = None if ids is None else axis_of(model, transfer.source, ids)
    if axis is None:
        raise ValueError(f"{transfer.name} reads no nodes")
    return axis
