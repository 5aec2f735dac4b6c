"""One narrowing of a model: what goes of what is left, priced as the candidate that it would be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_engine.cost.budget import Budget, Cost, cost_of
from spectral_engine.cost.grid import Choice, Grid
from spectral_engine.cost.ranking import choose_removal, even_floors, removable
from spectral_engine.cost.removal import RemovalPlan
from spectral_engine.graph.coupling import Coupling, Mark

EVEN_SHARE = 0.5  # of a layer's even part of the nodes that are left: what a score cannot take
STEP = 0.97  # of the multiply-adds, from one width that is timed to the next
MOST_STEPS = 16
Floors = Mapping[str, int]  # layer -> nodes that stay
InTime = Callable[[Mark], bool]  # whether the whole model without these groups is fast enough


@dataclass(frozen=True)
class Narrowing:
    """A model as it is now, `coupling`, of the `whole` one that these are `gone` from; marks have an entry per group.

    It costs what a candidate does: without what the training alone puts in. Plans are of the whole model, and hold what
    is gone already.
    """

    coupling: Coupling
    whole: Coupling
    gone: Mark
    scores: NDArray[np.float64]
    grid: Grid

    def plan(self, budget: Budget, least: Floors) -> RemovalPlan:
        """Take the least relevant groups to bring a candidate under budget, and its widths onto the grid.

        Each layer keeps half of its even part and a whole block, or less where the budget cannot be met so: smaller
        blocks first, then no more than `least`.
        """
        within = None
        for grid, floors in self._ways(least):
            removal = self.rounded(budget, floors, grid)
            if budget.exceeded_by(cost_of(self.whole, removal.removed)):
                continue
            if grid.holds(removal.removed):
                return removal
            within = within or removal
        return within or removal

    def plan_in_time(self, budget: Budget, least: Floors, in_time: InTime | None) -> RemovalPlan:
        """Plan as `plan` does, with fewer multiply-adds until what is left is in time; None sets no limit."""
        plan = self.plan(budget, least)
        if in_time is None or in_time(plan.removed):
            return plan
        for step in range(1, MOST_STEPS + 1):
            macs = budget.limits["macs"] * STEP**step
            narrower = self.plan(budget.also("macs", macs), least)
            if (narrower.removed == plan.removed).all():
                continue
            plan = narrower
            if in_time(plan.removed):
                break
        return plan

    def bite(self, budget: Budget, candidate: Budget, least: Floors) -> RemovalPlan:
        """Come under a budget on the way to a candidate's, and take no group that the candidate will keep."""
        among = self.plan(candidate, least).removed if self.grid.axes else None
        for floors in (self._even(least), least):
            removed = self.gone | self._choose(budget, floors, among)
            if not budget.exceeded_by(cost_of(self.whole, removed)):
                break
        return RemovalPlan.of(removed)

    def rounded(self, budget: Budget, floors: Floors, grid: Grid | None = None) -> RemovalPlan:
        """Take the fewest, least relevant groups that bring a candidate under budget, and move them to the grid."""
        asked = self.gone | self._choose(budget, floors)
        choice = Choice(
            removed=asked,
            free=removable(self.coupling, self.scores, floors),
            scores=self.scores,
            unused=lambda removed: budget.unused_by(cost_of(self.whole, removed)),
        )
        return RemovalPlan((grid or self.grid).fit(choice), asked)

    def _ways(self, least: Floors) -> Iterator[tuple[Grid, Floors]]:
        """Yield what to try, one after the other: floors that leave each layer its part, and then lower ones."""
        for floors in (self._even(least), least):
            for grid in (self.grid, *self.grid.finer()):
                yield grid, grid.raised(floors, self.whole)
        if self.grid.axes:  # without, that was the last one
            yield self.grid, least

    def _even(self, least: Floors) -> Floors:
        return even_floors(self.whole, self.coupling, least, EVEN_SHARE)

    def _choose(self, budget: Budget, floors: Floors, among: Mark | None = None) -> Mark:
        return choose_removal(self.coupling, self.scores, budget, floors, self._price, among)

    def _price(self, going: Mark) -> Cost:
        return cost_of(self.whole, self.gone | going)
