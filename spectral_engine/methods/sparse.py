"""`sparse`: train within a budget of links, in spectral space, with a topology that is free.

1. Hold every transfer as eigenvalues and eigenvectors under a mask of its links, w_ij = m_ij (λ_in_j − λ_out_i) φ_ij.
2. dense_to_sparse: the budget falls from all links to the asked share (cubic: Zhu and Gupta, arXiv:1710.01878). At each
   change the heaviest links stay, of all: a link that was masked moves on with its nodes' eigenvalues, and comes back
   when it has become heavy enough.
   sparse_to_sparse: the budget holds from the first step. At each change the lightest links go and as many come where
   the loss pulls most (Evci et al., ICML 2020), fewer each time.
3. Then the links stay. Nodes that lost all of them on one side are cut out, their constants folded into their readers'
   biases; a copy cools down, is exported with zeros in the places of what is gone, proved and measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.errors import TargetInfeasible
from spectral_engine.methods.path import SpectralPath
from spectral_engine.methods.retrain import plan_retraining
from spectral_engine.methods.schedule import Event, Schedule
from spectral_engine.methods.task import Task
from spectral_engine.onnx_io.load import load_model
from spectral_engine.recipe import Recipe, Training
from spectral_engine.report.schema import Links, TopologyPoint
from spectral_engine.sparsity.dead import dead_groups
from spectral_engine.sparsity.figures import count_links
from spectral_engine.sparsity.model import SparseModel
from spectral_engine.sparsity.topology import Change, Topology
from spectral_engine.training.trainer import Trainer

MOST_CHANGES = 40  # of the topology; more are no better
SETTLING_STEPS = 20  # that a link which came from 0 gets before it is weighed
MOVED = 0.3  # share of the links that the first change moves: RigL's α


def plan_sparse(training: Training, steps_per_epoch: int) -> Schedule:
    """Lay out one training: at a steady rate while links change, and its cooling under the last mask."""
    return plan_retraining(training, steps_per_epoch)


@dataclass(frozen=True)
class Changes:
    """When the topology changes, and by how much."""

    steps: tuple[int, ...]
    density: float
    thins: bool  # from dense; otherwise links move

    @classmethod
    def planned(cls, recipe: Recipe, trunk_steps: int) -> Changes:
        """Spread the changes evenly over the trunk; the last comes with its last step."""
        thins = recipe.sparse.schedule == "dense_to_sparse"
        fitting = trunk_steps // (1 if thins else SETTLING_STEPS)
        count = max(1, min(MOST_CHANGES, fitting))
        steps = tuple(math.ceil(trunk_steps * index / count) for index in range(1, count + 1))
        return cls(steps, recipe.target.density or 1.0, thins)

    def density_at(self, step: int) -> float:
        """Fall from 1 by a cubic, fast at first (Zhu and Gupta, eq. 1)."""
        return self.density + (1 - self.density) * (1 - step / self.steps[-1]) ** 3

    def moved_at(self, step: int) -> float:
        """Fall to 0 by half a cosine (Evci et al., section 3)."""
        return MOVED / 2 * (1 + math.cos(math.pi * step / self.steps[-1]))


class SparsePath(SpectralPath):
    """Walks from the uploaded links to the asked number, or moves as many about, and builds one candidate."""

    topology: Topology

    def __init__(self, task: Task, start_trainer: Callable[[], Trainer]) -> None:
        super().__init__(task, start_trainer)
        self._check_density()

    def _check_density(self) -> None:
        """Refuse, before anything trains, a density that would leave a transfer without a link."""
        allowed = self.changes.density * self.topology.total
        least = sum(layout.smallest for layout in self.topology.layouts.values())
        if round(allowed) < least:
            raise TargetInfeasible(
                f"density allows {allowed:,.0f} links, but {least:,} stay, the fewest of each transfer",
                pointer="#/recipe/target/density",
            )

    def _reset(self) -> None:
        super()._reset()
        recipe = self.task.recipe
        self.changes = Changes.planned(recipe, self.task.schedule.trunk_steps)
        self.topology = Topology(self.model, recipe.sparse.links, recipe.sparse.distribution)
        if not self.changes.thins:
            self._note(0, self.topology.thin(self.changes.density, first=True))

    @property
    def model(self) -> SparseModel:
        """The model in training."""
        model = self.trainer.model
        assert isinstance(model, SparseModel)
        return model

    def _before_step(self) -> None:
        """Where links are to move, let this step's gradient say what those that are masked would do."""
        due = self.walk.step + 1 in self.changes.steps
        self.model.let_gradients_through(due and not self.changes.thins)

    def _observe(self) -> None:
        super()._observe()
        step = self.walk.step + 1
        if step not in self.changes.steps:
            return
        if self.changes.thins:
            change = self.topology.thin(self.changes.density_at(step))
        else:
            moved = self.changes.moved_at(step)
            change = self.topology.move(self.changes.density, moved, self._take_gradients())
        self._note(step, change)

    def _take_gradients(self) -> dict[str, Tensor]:
        """Return the dense gradients, and leave the optimiser those of the links that are there."""
        found = {}
        for name, mask in self.model.masks.items():
            gradient = self.model.links_of(name).grad
            assert gradient is not None
            found[name] = gradient.clone()
            gradient.mul_(mask)
        return found

    def _note(self, step: int, change: Change) -> None:
        topology = self.topology
        links = topology.links()
        self.walk.topology.append(
            TopologyPoint(
                step=step,
                epoch=step / self.task.feed.steps_per_epoch,
                links=sum(links.values()),
                grown=change.grown,
                dropped=change.dropped,
                new_since_start=topology.share_new(),
                reentered=topology.reentered,
                densities=[links[n] / layout.links for n, layout in topology.layouts.items()],
            )
        )

    def _choose(self, scores: NDArray[np.float64], event: Event) -> NDArray[np.bool_]:
        """Mark the nodes without links."""
        del scores, event
        self.model.let_gradients_through(False)
        return dead_groups(self.model, self.task.recipe.sparse.links)

    @property
    def _compensates(self) -> bool:
        return True  # a dead node may still be a constant

    def _count_links(self, twin: Trainer, content: bytes) -> Links | None:
        graph, dead = load_model(content).graph, int(self.removed.sum())
        return count_links(self.topology, twin.model.coupling, graph, self.task.recipe, dead)

    def _own_tensors(self) -> dict[str, Tensor]:
        return {f"ever.{name}": seen for name, seen in self.topology.ever.items()}

    def _restore_own(self, tensors: dict[str, Tensor]) -> None:
        for name, seen in self.topology.ever.items():
            seen.copy_(tensors[f"ever.{name}"])
        if self.walk.topology:
            self.topology.reentered = self.walk.topology[-1].reentered
