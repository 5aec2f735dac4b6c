"""Relevance of node groups while a model trains: one score, and what it has seen of the steps.

A group's members are the output nodes of every transfer that the graph couples: scores add up over them.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from spectral_engine.graph.coupling import Coupling
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.graph.module import OnnxModule
from spectral_engine.records.training import Spectral
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.spectral.node_view import NodeView
from spectral_engine.spectral.score import find_score

MOMENTUM = 0.9  # of the running mean over steps


class Relevance:
    """Scores of all node groups of one model, indexed by group id; higher stays longer.

    Arrays have one entry per group of the original coupling; groups that are gone, or that no transfer
    produces, hold 0.
    """

    def __init__(self, model: SpectralModel, score: str, seed: int = 0) -> None:
        self.score, self.seed = find_score(score), seed
        self.observed = 0
        self._running = torch.zeros(model.coupling.count, dtype=torch.float64)
        self.attach(model)

    def attach(self, model: SpectralModel) -> None:
        """Follow this model from now on, as after a cut."""
        self.nodes = NodeView(model, self.seed)
        self._running = self._running.to(next(model.parameters(), self._running).device)

    @property
    def running(self) -> NDArray[np.float64]:
        """The running mean [count]; it lies where the model does, and is copied when it is asked for."""
        return self._running.cpu().numpy().copy()

    @running.setter
    def running(self, values: NDArray[np.float64]) -> None:
        self._running = torch.from_numpy(values.copy()).to(self._running.device)

    @torch.no_grad()
    def observe(self) -> None:
        """Take in the gradients of one step: the running mean of each group's change of the loss."""
        change = self.score.change
        if change is None or not self.nodes.all_have_gradients():
            return  # nodes behind an operator without a gradient would seem to be worth nothing
        seen = self.nodes.summed(lambda transfer: change(self.nodes, transfer), self._running)
        self.observed += 1
        self._running += (seen.abs() - self._running) * (1 - MOMENTUM)

    def scores(self) -> NDArray[np.float64]:
        """Return the relevance of every group."""
        if self.score.change is None or not self.observed:
            return self.score.rank(self.nodes, None)
        return self.score.rank(self.nodes, self.running / (1 - MOMENTUM**self.observed))

    def eigenvalues(self) -> NDArray[np.float64]:
        """Return |λ_out| of every group: the largest over its members."""
        return self.nodes.largest(self.nodes.magnitudes)


class UnheldModel(SpectralModel):
    """A model to be looked at: its weights stay as they are, and no second copy of them is made.

    At the start of a training eigenvalues follow from the norms of weights, so that it ranks nodes as one that trains.
    """

    def _hold(self, transfer: Transfer) -> None:
        """Hold nothing in another form."""


def relevance_of_weights(
    module: OnnxModule, coupling: Coupling, score: str, seed: int
) -> NDArray[np.float64]:
    """Return every group's relevance before anything trained [count], without a gradient."""
    return Relevance(UnheldModel(module, coupling, Spectral()), score, seed).scores()
