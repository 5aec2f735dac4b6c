"""What a score may read of a model's nodes: eigenvalues, norms, readers, gradients; one entry per node or group."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.graph.ids import GroupIds
from spectral_engine.graph.operators import is_outside
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.spectral.transfer import node_norms

Floats = NDArray[np.float64]
OfNodes = Callable[[Transfer], Tensor]  # one transfer's nodes [out]


class NodeView:
    """The nodes of one model, by the transfers that produce them.

    Arrays have one entry per group of the original coupling; groups that are gone, or that no transfer produces,
    hold 0.
    """

    def __init__(self, model: SpectralModel, seed: int = 0) -> None:
        self.model, self.seed = model, seed
        self.count = model.coupling.count
        self.producers: list[tuple[Transfer, GroupIds]] = [
            (transfer, ids)
            for transfer in model.coupling.transfers
            if (ids := model.coupling.axes[transfer.weight][transfer.out_axis]) is not None
        ]
        self.outside = any(is_outside(node) for node in model.module.nodes)
        device = next(model.parameters(), torch.empty(0)).device
        self._places = [torch.from_numpy(ids).to(device) for _, ids in self.producers]

    # Of groups.

    def root_of_squares(self, of: OfNodes) -> Floats:
        """Return the root of the summed squares of a group's members [count]."""
        return np.sqrt(self._squares(of))

    def root_with_readers(self, of: OfNodes) -> Floats:
        """Return the same times the norm of what reads the group [count]; what no transfer reads counts as the rest."""
        total, read = self._squares(of), self._outgoing()
        known = read > 0
        usual = float(read[known].mean()) if known.any() else 1.0
        total *= np.where(known, read, usual)
        return np.sqrt(total)

    def largest(self, of: OfNodes) -> Floats:
        """Return the largest over a group's members [count]."""
        largest = np.zeros(self.count)
        for transfer, ids in self.producers:
            np.maximum.at(largest, ids, _array(of(transfer)))
        return largest

    def summed(self, of: OfNodes, like: Tensor) -> Tensor:
        """Return the sum over a group's members [count], on the device of `like` and without a copy to the host."""
        total = torch.zeros_like(like)
        for (transfer, _), places in zip(self.producers, self._places, strict=True):
            total.index_add_(0, places, of(transfer).double())
        return total

    # Of one transfer's nodes [out].

    def magnitudes(self, transfer: Transfer) -> Tensor:
        """Return |λ_out|; |γ| where a normalisation follows directly."""
        form = self.model.spectral.get(transfer.weight)
        if form is not None:
            return form.magnitudes()
        if transfer.norm_scale is not None:
            return self.model.module.initializer(transfer.norm_scale).detach().abs()
        return self.norms(transfer).sqrt()

    def norms(self, transfer: Transfer) -> Tensor:
        """Return |λ|·‖φ‖, which is ‖w‖ of the incoming weights."""
        form = self.model.spectral.get(transfer.weight)
        if form is not None:
            return form.norms()
        return node_norms(self._weight(transfer), transfer.out_axis)

    def gated_norms(self, transfer: Transfer) -> Tensor:
        """Return |γ| where a normalisation follows, which cancels the norm of the weights; else the norms."""
        return self.norms(transfer) if transfer.norm_scale is None else self.magnitudes(transfer)

    def sums(self, transfer: Transfer) -> Tensor:
        """Return Σ_j |w_ij|."""
        return node_sums(self._weight(transfer).abs(), transfer.out_axis)

    def change_of_eigenvalues(self, transfer: Transfer) -> Tensor:
        """Return λ ∂L/∂λ + b ∂L/∂b, after a backward pass."""
        form = self.model.spectral.get(transfer.weight)
        module = self.model.module
        if form is not None:
            change = _times_gradient(form.eigenvalues_out)
        elif transfer.norm_scale is not None:
            change = _times_gradient(module.initializer(transfer.norm_scale))
        else:
            weight = module.initializer(transfer.weight)
            change = node_sums(_times_gradient(weight), transfer.out_axis)
        offset = transfer.bias if transfer.norm_scale is None else transfer.norm_bias
        if offset is not None and offset in module.trainable:
            bias = module.initializer(offset)
            if bias.numel() == change.numel():
                change = change + _times_gradient(bias).flatten()
        return change

    def all_have_gradients(self) -> bool:
        """Say whether the loss reached every transfer; asked only of graphs that hold operators without a gradient."""
        if not self.outside:
            return True
        return all(
            tensor.grad is not None
            for transfer in self.model.coupling.transfers
            for tensor in self._trained(transfer)
        )

    def _trained(self, transfer: Transfer) -> list[Tensor]:
        form = self.model.spectral.get(transfer.weight)
        if form is not None:
            return [form.eigenvectors]
        return [self.model.module.initializer(transfer.weight)]

    def change_of_links(self, transfer: Transfer) -> Tensor:
        """Return Σ_j |w_ij ∂L/∂w_ij|, after a backward pass; with w = λ φ it is Σ_j |φ_ij ∂L/∂φ_ij|."""
        form = self.model.spectral.get(transfer.weight)
        weight = (
            self.model.module.initializer(transfer.weight) if form is None else form.eigenvectors
        )
        return node_sums(_times_gradient(weight).abs(), transfer.out_axis)

    def _squares(self, of: OfNodes) -> Floats:
        total = np.zeros(self.count)
        for transfer, ids in self.producers:
            np.add.at(total, ids, _array(of(transfer)) ** 2)
        return total

    def _outgoing(self) -> Floats:
        total = np.zeros(self.count)
        for transfer in self.model.coupling.transfers:
            if transfer.in_axis is None:
                continue
            ids = self.model.coupling.axes[transfer.weight][transfer.in_axis]
            if ids is None:
                continue
            weight = self._weight(transfer)
            np.add.at(total, ids, _array(node_norms(weight, transfer.in_axis)) ** 2)
        return total

    def _weight(self, transfer: Transfer) -> Tensor:
        return self.model.weight(transfer.weight)


def node_sums(values: Tensor, axis: int) -> Tensor:
    """Sum every slice along `axis`, one entry per node."""
    return values.transpose(0, axis).flatten(1).sum(dim=1)


def _times_gradient(tensor: Tensor) -> Tensor:
    if tensor.grad is None:
        return torch.zeros_like(tensor)
    return (tensor * tensor.grad).detach()


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().cpu().double().numpy()
