"""One narrowing of a model: what goes of what is left, priced as the candidate that it would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_engine.cost.budget import Budget, Cost, cost_of
from spectral_engine.cost.grid import Choice, Grid
from spectral_engine.cost.ranking import choose_removal, removable
from spectral_engine.graph.coupling import Coupling, Mark


@dataclass(frozen=True)
class Narrowing:
    """A model as it is now, `coupling`, of the `whole` one that these are `gone` from; marks have an entry per group.

    It costs what a candidate does: without what the training alone puts in.
    """

    coupling: Coupling
    whole: Coupling
    gone: Mark
    scores: NDArray[np.float64]
    grid: Grid

    def choose(self, budget: Budget, least: Mapping[str, int], among: Mark | None = None) -> Mark:
        """Mark the fewest, least relevant groups that bring the candidate under budget."""
        return choose_removal(self.coupling, self.scores, budget, least, self._price, among)

    def choose_rounded(self, budget: Budget, least: Mapping[str, int]) -> Mark:
        """Mark the groups that bring the candidate under budget, and its widths onto the grid."""
        choice = Choice(
            removed=self.gone | self.choose(budget, least),
            free=removable(self.coupling, self.scores, least),
            scores=self.scores,
            fits=lambda removed: not budget.exceeded_by(cost_of(self.whole, removed)),
        )
        return self.grid.fit(choice) & ~self.gone

    def is_within(self, budget: Budget, going: Mark) -> bool:
        """Say whether the candidate is under budget once these go too."""
        return not budget.exceeded_by(self._price(going))

    def _price(self, going: Mark) -> Cost:
        return cost_of(self.whole, self.gone | going)
