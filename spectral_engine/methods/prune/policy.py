"""What `prune` decides: three ways to lay out one training and its candidates, and which nodes go.

- gradual: nodes go bite by bite while the model trains. The default.
- post: train, rank by eigenvalues, cut, fine-tune (Buffoni et al., Sci. Rep. 12, 11201 (2022), "post-training").
- pre: train the eigenvalues alone, rank, cut, train all that is left (ibid., "pre-training").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectral_engine.cost.blocks import grid_for
from spectral_engine.cost.budget import Budget
from spectral_engine.cost.narrowing import Narrowing
from spectral_engine.cost.ranking import floors
from spectral_engine.cost.removal import RemovalPlan
from spectral_engine.methods.policy import Policy
from spectral_engine.methods.prune.measured import measured_scores
from spectral_engine.methods.prune.options import Prune
from spectral_engine.methods.prune.plan import plan_pruning
from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.methods.schedule import Event, Schedule
from spectral_engine.methods.state import RunState
from spectral_engine.records.compensate import Compensation
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.training import Spectral
from spectral_engine.training.trainer import Trainer

NOT_TRAINED = (
    "no training was asked for: candidates were cut at once and their layers solved by least squares; what training "
    "would regain was not measured"
)
GENTLE_REACH = 0.35  # of the way to the narrow end, where a first way went too far


class Pruning(Policy):
    """Removes the least relevant nodes, as few as the budget at each event needs."""

    may_go_gently = True

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan)
        self.least = floors(plan.coupling, plan.recipe.prune.min_nodes)
        self.grid = grid_for(plan.coupling, plan.recipe.prune.round_to, plan.recipe.target)

    def begin(self, trainer: Trainer, state: RunState) -> None:
        """Measure what removing nodes does, where no training will tell."""
        self.measured: NDArray[np.float64] | None = None
        prune = self.plan.recipe.prune
        if self.plan.schedule.trains:
            return
        state.warnings.append(NOT_TRAINED)
        if prune.score == Prune().score:
            self.measured = measured_scores(trainer, self.plan)

    def scores(self, relevance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the damage that was measured; the relevance where another score is asked for, or something trains."""
        return relevance if self.measured is None else self.measured

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

    @property
    def compensation(self) -> Compensation:
        """What the recipe says; else least squares for cuts at once, and means where training follows each bite."""
        asked = self.plan.recipe.prune.compensate
        if asked != "auto":
            return asked
        return "least_squares" if self.plan.recipe.prune.when != "gradual" else "mean"

    def plan_removal(
        self, trainer: Trainer, state: RunState, scores: NDArray[np.float64], event: Event
    ) -> RemovalPlan:
        """Plan what is gone after this event: under its budget, and on the grid where a candidate branches off.

        At the end of the path the very widths are timed, where time is limited.
        """
        whole, coupling = self.plan.coupling, trainer.model.coupling
        narrowing = Narrowing(coupling, whole, state.removed, scores, self.grid)
        budget = self._budget(state, event)
        if event is self.plan.schedule.events[-1]:
            return narrowing.plan_in_time(budget, self.least, self.plan.in_time)
        if event.level is not None:
            return narrowing.plan(budget, self.least)
        return narrowing.bite(budget, self._budget(state, self._next_level(event)), self.least)

    def _next_level(self, event: Event) -> Event:
        """Return the event at which the next candidate branches off."""
        return next(
            later
            for later in self.plan.schedule.events
            if later.level is not None and later.fraction >= event.fraction
        )

    def _budget(self, state: RunState, event: Event) -> Budget:
        reach = GENTLE_REACH if state.gentle else 1.0
        return self.plan.end.along_path(self.plan.start, reach * event.fraction)
