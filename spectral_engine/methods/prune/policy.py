"""What `prune` decides: three ways to lay out one training and its candidates, and which nodes go.

- gradual: nodes go bite by bite while the model trains. The default.
- post: train, rank by eigenvalues, cut, fine-tune (Buffoni et al., Sci. Rep. 12, 11201 (2022), "post-training").
- pre: train the eigenvalues alone, rank, cut, train all that is left (ibid., "pre-training").
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spectral_engine.cost.budget import Budget
from spectral_engine.cost.grid import grid_of
from spectral_engine.cost.narrowing import Narrowing
from spectral_engine.cost.ranking import even_floors, floors
from spectral_engine.methods.policy import Policy
from spectral_engine.methods.prune.plan import plan_pruning
from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.methods.schedule import Event, Schedule
from spectral_engine.methods.state import RunState
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.training import Spectral
from spectral_engine.training.trainer import Trainer

GENTLE_REACH = 0.35  # of the way to the narrow end, where a first way went too far
EVEN_SHARE = 0.5  # of a layer's even part of the nodes that are left: what a score cannot take


class Pruning(Policy):
    """Removes the least relevant nodes, as few as the budget at each event needs."""

    may_go_gently = True

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan)
        self.least = floors(plan.coupling, plan.recipe.prune.min_nodes)
        self.grid = grid_of(plan.coupling, plan.recipe.prune.round_to)

    @staticmethod
    def schedule(recipe: Recipe, steps_per_epoch: int) -> Schedule:
        """Lay out when nodes go."""
        return plan_pruning(recipe.training, recipe.prune, steps_per_epoch)

    @staticmethod
    def trunk_options(recipe: Recipe) -> Spectral:
        """Return what the trunk trains: the eigenvalues alone before a pruning that waits for them."""
        if recipe.prune.when == "pre":
            return recipe.spectral.model_copy(update={"train": "eigenvalues"})
        return recipe.spectral

    def choose(
        self, trainer: Trainer, state: RunState, scores: NDArray[np.float64], event: Event
    ) -> NDArray[np.bool_]:
        """Mark the groups that go at this event [count]."""
        whole, coupling = self.plan.coupling, trainer.model.coupling
        narrowing = Narrowing(coupling, whole, state.removed, scores, self.grid)
        even = even_floors(whole, coupling, self.least, EVEN_SHARE)
        chosen = self._bite(narrowing, state, event, even)
        if narrowing.is_within(self._budget(state, event), chosen):
            return chosen
        return self._bite(narrowing, state, event, self.least)

    def _bite(
        self, narrowing: Narrowing, state: RunState, event: Event, least: Mapping[str, int]
    ) -> NDArray[np.bool_]:
        """Mark what goes on the way to the next candidate, whose widths are on the grid."""
        budget = self._budget(state, event)
        if not self.grid.axes:
            return narrowing.choose(budget, least)
        level = next(
            later
            for later in self.plan.schedule.events
            if later.level is not None and later.fraction >= event.fraction
        )
        rounded = narrowing.choose_rounded(self._budget(state, level), least)
        if event.level is not None:
            return rounded
        return narrowing.choose(budget, least, among=rounded)

    def _budget(self, state: RunState, event: Event) -> Budget:
        reach = GENTLE_REACH if state.gentle else 1.0
        return self.plan.end.along_path(self.plan.start, reach * event.fraction)
