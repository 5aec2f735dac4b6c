"""Relevance of node groups, read from the eigenvalues.

A group's members are the output nodes of every transfer that the graph couples: scores add up over them.
Sources: |λ| alone, Buffoni et al., Sci. Rep. 12, 11201 (2022); |λ|·‖φ‖, Giambagli et al., NeurIPS 2023;
first-order change of the loss, Molchanov et al., CVPR 2019, here in λ, whose derivative sums a node's whole row.
Rankings of others, to compare with: L1 and L2 norms of the incoming weights, Σ_j |w_ij ∂L/∂w_ij| (Molchanov et al.),
|γ| of a normalisation that follows (Liu et al., ICCV 2017; the L2 norm where none does), and chance.
The default is the geometric mean of that change and ‖w_in‖·‖w_out‖: the change alone spreads the nodes too evenly over
the layers and says little of a node whose loss is flat, the norms alone starve deep layers.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.graph.coupling_recorder import Ids, Transfer
from spectral_engine.records.recipe import Score
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.spectral.transfer import node_norms

MOMENTUM = 0.9  # of the running mean over steps
WITH_GRADIENTS: tuple[Score, ...] = ("eigenvalue_taylor", "eigenvalue_taylor_outgoing", "taylor")
WITH_READERS: tuple[Score, ...] = ("eigenvalue_outgoing", "eigenvalue_taylor_outgoing")


class Relevance:
    """Scores of all node groups of one model, indexed by group id; higher stays longer.

    Arrays have one entry per group of the original coupling; groups that are gone, or that no transfer
    produces, hold 0.
    """

    def __init__(self, model: SpectralModel, score: Score, seed: int = 0) -> None:
        self.score, self.seed = score, seed
        self.count = model.coupling.count
        self.observed = 0
        self._running = torch.zeros(self.count, dtype=torch.float64)
        self.attach(model)

    def attach(self, model: SpectralModel) -> None:
        """Follow this model from now on, as after a cut."""
        self.model = model
        self.producers = [
            (transfer, ids)
            for transfer in model.coupling.transfers
            if (ids := model.coupling.axes[transfer.weight][transfer.out_axis]) is not None
        ]
        device = next(model.parameters(), self._running).device
        self._running = self._running.to(device)
        self._places = [torch.from_numpy(ids).to(device) for _, ids in self.producers]

    @property
    def running(self) -> NDArray[np.float64]:
        """The running mean [count]; it lies where the model does, and is copied when it is asked for."""
        return self._running.cpu().numpy().copy()

    @running.setter
    def running(self, values: NDArray[np.float64]) -> None:
        self._running = torch.from_numpy(values.copy()).to(self._running.device)

    @torch.no_grad()
    def observe(self) -> None:
        """Take in the gradients of one step: the running mean of each group's first-order change of the loss."""
        if self.score not in WITH_GRADIENTS:
            return
        change = torch.zeros_like(self._running)
        of = self._of_links if self.score == "taylor" else self._first_order
        for (transfer, _), places in zip(self.producers, self._places, strict=True):
            change.index_add_(0, places, of(transfer).double())
        self.observed += 1
        self._running += (change.abs() - self._running) * (1 - MOMENTUM)

    def scores(self) -> NDArray[np.float64]:
        """Return the relevance of every group."""
        if self.score == "random":
            return np.random.default_rng(self.seed).random(self.count)
        if self.score not in WITH_GRADIENTS or not self.observed:
            return self._sizes()
        change: NDArray[np.float64] = self.running / (1 - MOMENTUM**self.observed)
        if self.score not in WITH_READERS:
            return change
        return np.sqrt(change * self._sizes())

    def _sizes(self) -> NDArray[np.float64]:
        """Return the size of every group's eigenvalues or weights, times its readers' where the score asks so."""
        total = np.zeros(self.count)
        for transfer, ids in self.producers:
            self._add(total, ids, self._static(transfer) ** 2)
        if self.score in WITH_READERS:
            read = self._outgoing()
            known = read > 0
            usual = float(read[known].mean()) if known.any() else 1.0
            total *= np.where(known, read, usual)  # what no transfer reads counts as the rest
        return np.sqrt(total)

    def eigenvalues(self) -> NDArray[np.float64]:
        """Return |λ_out| of every group: the largest over its members."""
        largest = np.zeros(self.count)
        for transfer, ids in self.producers:
            np.maximum.at(largest, ids, _array(self.magnitudes(transfer)))
        return largest

    def magnitudes(self, transfer: Transfer) -> Tensor:
        """Return |λ_out| of one transfer's nodes [out]; |γ| where a normalisation follows directly."""
        held = self.model.spectral.get(transfer.weight)
        if held is not None:
            return held.magnitudes()
        if transfer.norm_scale is not None:
            return self.model.module.initializer(transfer.norm_scale).detach().abs()
        return self._norms(transfer).sqrt()

    def _static(self, transfer: Transfer) -> NDArray[np.float64]:
        if self.score == "l1":
            return _array(node_sums(self._weight(transfer).abs(), transfer.out_axis))
        gated = transfer.norm_scale is not None and self.score != "l2"
        if self.score == "eigenvalue" or gated:
            return _array(self.magnitudes(transfer))
        return _array(self._norms(transfer))

    def _norms(self, transfer: Transfer) -> Tensor:
        held = self.model.spectral.get(transfer.weight)
        if held is not None:
            return held.norms()
        return node_norms(self._weight(transfer), transfer.out_axis)

    def _weight(self, transfer: Transfer) -> Tensor:
        return self.model.weight(transfer.weight)

    def _outgoing(self) -> NDArray[np.float64]:
        total = np.zeros(self.count)
        for transfer in self.model.coupling.transfers:
            if transfer.in_axis is None:
                continue
            ids = self.model.coupling.axes[transfer.weight][transfer.in_axis]
            if ids is None:
                continue
            weight = self._weight(transfer)
            self._add(total, ids, _array(node_norms(weight, transfer.in_axis)) ** 2)
        return total

    def _first_order(self, transfer: Transfer) -> Tensor:
        """Return λ ∂L/∂λ + b ∂L/∂b of one transfer's nodes [out]."""
        held = self.model.spectral.get(transfer.weight)
        module = self.model.module
        if held is not None:
            change = _times_gradient(held.eigenvalues_out)
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

    def _of_links(self, transfer: Transfer) -> Tensor:
        """Return Σ_j |w_ij ∂L/∂w_ij| of one transfer's nodes [out]; with w = λ φ it is Σ_j |φ_ij ∂L/∂φ_ij|."""
        held = self.model.spectral.get(transfer.weight)
        weight = (
            self.model.module.initializer(transfer.weight) if held is None else held.eigenvectors
        )
        return node_sums(_times_gradient(weight).abs(), transfer.out_axis)

    @staticmethod
    def _add(total: NDArray[np.float64], ids: Ids, values: NDArray[np.float64]) -> None:
        np.add.at(total, ids, values)


def node_sums(values: Tensor, axis: int) -> Tensor:
    """Sum every slice along `axis`, one entry per node."""
    return values.transpose(0, axis).flatten(1).sum(dim=1)


def _times_gradient(tensor: Tensor) -> Tensor:
    if tensor.grad is None:
        return torch.zeros_like(tensor)
    return (tensor * tensor.grad).detach()


def _array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().cpu().double().numpy()
