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

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.errors import TargetInfeasible
from spectral_engine.methods.retrain.plan import plan_retraining
from spectral_engine.methods.run import SpectralPath
from spectral_engine.methods.run_plan import Task
from spectral_engine.methods.schedule import Event, Schedule
from spectral_engine.methods.sparse.dead import dead_groups
from spectral_engine.methods.sparse.figures import count_links
from spectral_engine.methods.sparse.model import SparseModel
from spectral_engine.methods.sparse.topology import Topology
from spectral_engine.onnx_io.load import load_model
from spectral_engine.records.recipe import Recipe, Training
from spectral_engine.records.report import Links, TopologyPoint
from spectral_engine.training.trainer import Trainer

SETTLING_STEPS = 25  # between changes: what a link that came from 0 gets before it is weighed
MOST_CHANGES = 200
THINNING_SHARE = 0.55  # of the changes that come while the budget falls; then links move within it
MOVED = 0.3  # share of the links that the first change moves: RigL's α


def plan_sparse(training: Training, steps_per_epoch: int) -> Schedule:
    """Lay out one training: at a steady rate while links change, and its cooling under the last mask."""
    return plan_retraining(training, steps_per_epoch)


@dataclass(frozen=True)
class Changes:
    """When the topology changes, and by how much."""

    steps: tuple[int, ...]
    thin_until: int  # the step from which on the density is what was asked for
    density: float

    @classmethod
    def planned(cls, recipe: Recipe, trunk_steps: int) -> Changes:
        """Spread the changes evenly over the trunk; the last comes with its last step."""
        count = max(1, min(MOST_CHANGES, trunk_steps // SETTLING_STEPS))
        steps = tuple(math.ceil(trunk_steps * index / count) for index in range(1, count + 1))
        thinning = math.ceil(count * THINNING_SHARE)
        dense_at_first = recipe.sparse.schedule == "dense_to_sparse"
        thin_until = steps[thinning - 1] if dense_at_first else 0
        return cls(steps, thin_until, recipe.target.density or 1.0)

    def density_at(self, step: int) -> float:
        """Fall from 1 by a cubic, fast at first (Zhu and Gupta, eq. 1)."""
        left = 1 - min(1.0, step / self.thin_until) if self.thin_until else 0.0
        return self.density + (1 - self.density) * left**3

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
        if self.changes.thin_until == 0:
            self.topology.thin(self.changes.density)
            self.topology.begin()
            self._note(0)

    @property
    def model(self) -> SparseModel:
        """The model in training."""
        model = self.trainer.model
        assert isinstance(model, SparseModel)
        return model

    def _before_step(self) -> None:
        """Where links change, let this step's gradient say what those that are masked would do."""
        self.model.let_gradients_through(self.walk.step + 1 in self.changes.steps)

    def _observe(self) -> None:
        super()._observe()
        step = self.walk.step + 1
        if step in self.changes.steps:
            self._change(step, self.model.take_gradients())

    def _change(self, step: int, gradients: dict[str, Tensor]) -> None:
        density = self.changes.density_at(step)
        if step <= self.changes.thin_until:
            self.topology.thin(density)
        lost = self._dead() if step == self.changes.steps[-1] else None
        self.topology.move(density, self.changes.moved_at(step), gradients, lost)
        self._note(step)

    def _note(self, step: int) -> None:
        topology, change = self.topology, self.topology.count_change()
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
        return self._dead()

    def _dead(self) -> NDArray[np.bool_]:
        return dead_groups(self.model, self.task.recipe.sparse.links)

    @property
    def _compensates(self) -> bool:
        return True  # a dead node may still be a constant

    def _count_links(self, candidate: Path) -> Links | None:
        narrow, graph = self.task.coupling.without(self.removed), load_model(candidate).graph
        dead = int(self.removed.sum())
        return count_links(self.topology, narrow, graph, self.task.recipe, dead)

    def _own_tensors(self) -> dict[str, Tensor]:
        return {f"ever.{name}": seen for name, seen in self.topology.ever.items()}

    def _restore_own(self, tensors: dict[str, Tensor]) -> None:
        ever = {name: tensors[f"ever.{name}"] for name in self.topology.ever}
        seen = self.walk.topology
        self.topology.go_on(ever, seen[-1].reentered if seen else 0)
