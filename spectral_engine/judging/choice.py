"""Which candidate is handed back, by what validation rows say of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spectral_engine.cost.budget import Budget, Cost
from spectral_engine.records.choice import Standing, choose_standing


@dataclass(frozen=True)
class Option:
    """A candidate as validation rows see it.

    `drop` is the measured loss of metric; `careful_drop` adds one standard error: how sure one may be of it (the
    one-standard-error rule of Breiman et al., CART, 1984). `unchanged` marks the original itself.
    """

    cost: Cost
    drop: float
    careful_drop: float
    unchanged: bool = False

    def within(self, budget: Budget) -> Standing:
        """Return how it stands under a budget."""
        return Standing(
            macs=self.cost.macs,
            params=self.cost.params,
            nodes=self.cost.nodes,
            within_budget=not budget.exceeded_by(self.cost),
            drop=self.drop,
            careful_drop=self.careful_drop,
        )


def choose(options: Sequence[Option], budget: Budget, max_drop: float | None) -> int:
    """Return the index of the best candidate, by the rule of `spectral_engine.records.choice`.

    What a drop allows here is not shown yet: that is the held-out rows' business.
    """
    return choose_standing([option.within(budget) for option in options], max_drop)
