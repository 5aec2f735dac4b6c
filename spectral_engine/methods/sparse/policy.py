"""`sparse`: train within a budget of links, in spectral space, with a topology that is free.

1. Hold every transfer as eigenvalues and eigenvectors under a mask of its links, w_ij = m_ij (λ_in_j − λ_out_i) φ_ij.
2. dense_to_sparse: the budget falls from all links to the asked share (cubic: Zhu and Gupta, arXiv:1710.01878). At each
   change the heaviest links stay, of all: a link that was masked moves on with its nodes' eigenvalues, and comes back
   when it has become heavy enough. sparse_to_sparse: the budget holds from the first step.
   In both, at each change the lightest links go as well and as many come where the loss pulls most, fewer each time
   (Evci et al., ICML 2020; while the budget falls: Liu et al., NeurIPS 2021).
   The last change gives the links of nodes that nothing reaches or nobody reads to those that live.
3. Then the links stay. Nodes that lost all of them on one side are cut out, their constants folded into their readers'
   biases; a copy cools down, is exported with zeros in the places of what is gone, proved and measured.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.errors import TargetInfeasible
from spectral_engine.methods.policy import Policy
from spectral_engine.methods.schedule import Event, Schedule, one_training
from spectral_engine.methods.sparse.changes import Changes
from spectral_engine.methods.sparse.dead import dead_groups
from spectral_engine.methods.sparse.figures import count_links
from spectral_engine.methods.sparse.model import SparseModel
from spectral_engine.methods.sparse.topology import Topology
from spectral_engine.methods.state import RunState
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.report import Links, TopologyPoint
from spectral_engine.training.trainer import Trainer


class SparseTraining(Policy):
    """Goes from the uploaded links to the asked number, or moves as many about, and builds one candidate."""

    form = SparseModel
    topology: Topology
    changes: Changes

    @staticmethod
    def schedule(recipe: Recipe, steps_per_epoch: int) -> Schedule:
        """Lay out one training: at a steady rate while links change, and its cooling under the last mask."""
        return one_training(recipe.training, steps_per_epoch)

    def begin(self, trainer: Trainer, state: RunState) -> None:
        """Lay the masks; raises TargetInfeasible where a transfer would be left without a link."""
        recipe = self.plan.recipe
        self.changes = Changes.planned(recipe, self.plan.schedule.trunk_steps)
        self.topology = Topology(
            _sparse_model(trainer), recipe.sparse.links, recipe.sparse.distribution
        )
        self._check_density()
        if self.changes.thin_until == 0:
            self.topology.thin(self.changes.density)
            self.topology.begin()
            self._note(state, 0)

    def _check_density(self) -> None:
        allowed = self.changes.density * self.topology.total
        least = sum(layout.smallest for layout in self.topology.layouts.values())
        if round(allowed) < least:
            raise TargetInfeasible(
                f"density allows {allowed:,.0f} links, but {least:,} stay, the fewest of each transfer",
                pointer="#/recipe/target/density",
            )

    def before_step(self, trainer: Trainer, step: int) -> None:
        """Where links change, let this step's gradient say what those that are masked would do."""
        _sparse_model(trainer).let_gradients_through(step in self.changes.steps)

    def after_backward(self, trainer: Trainer, state: RunState, step: int) -> None:
        """Change the topology where it is due."""
        if step not in self.changes.steps:
            return
        gradients, density = _sparse_model(trainer).take_gradients(), self.changes.density_at(step)
        if step <= self.changes.thin_until:
            self.topology.thin(density)
        lost = self._dead(trainer) if step == self.changes.steps[-1] else None
        self.topology.move(density, self.changes.moved_at(step), gradients, lost)
        self._note(state, step)

    def choose(
        self, trainer: Trainer, state: RunState, scores: NDArray[np.float64], event: Event
    ) -> NDArray[np.bool_]:
        """Mark the nodes without links [count]."""
        del state, scores, event
        _sparse_model(trainer).let_gradients_through(False)
        return self._dead(trainer)

    def _dead(self, trainer: Trainer) -> NDArray[np.bool_]:
        return dead_groups(_sparse_model(trainer), self.plan.recipe.sparse.links)

    def _note(self, state: RunState, step: int) -> None:
        topology, change = self.topology, self.topology.count_change()
        links = topology.links()
        state.topology.append(
            TopologyPoint(
                step=step,
                epoch=step / self.plan.feed.steps_per_epoch,
                links=sum(links.values()),
                grown=change.grown,
                dropped=change.dropped,
                new_since_start=topology.share_new(),
                reentered=topology.reentered,
                densities=[links[n] / layout.links for n, layout in topology.layouts.items()],
            )
        )

    def count_links(self, candidate: ir.Model, removed: NDArray[np.bool_]) -> Links | None:
        """Return what is left of the links in a candidate's file."""
        narrow, graph = self.plan.coupling.without(removed), candidate.graph
        return count_links(self.topology, narrow, graph, self.plan.recipe, int(removed.sum()))

    def tensors(self) -> dict[str, Tensor]:
        """Return which links have ever been there."""
        return {f"ever.{name}": seen for name, seen in self.topology.ever.items()}

    def restore(self, trainer: Trainer, state: RunState, tensors: Mapping[str, Tensor]) -> None:
        """Count on from a checkpoint; what the narrow model no longer holds is counted no more."""
        del trainer
        ever = {name: tensors[f"ever.{name}"] for name in self.topology.ever}
        self.topology.go_on(ever, state.topology[-1].reentered if state.topology else 0)


def _sparse_model(trainer: Trainer) -> SparseModel:
    """Return the model in training."""
    model = trainer.model
    assert isinstance(model, SparseModel)
    return model
