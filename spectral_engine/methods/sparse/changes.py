"""When the topology changes, and by how much."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spectral_engine.records.recipe import Recipe

SETTLING_STEPS = 25  # between changes: what a link that came from 0 gets before it is weighed
MOST_CHANGES = 200
THINNING_SHARE = 0.55  # of the changes that come while the budget falls; then links move within it
MOVED = 0.3  # share of the links that the first change moves: RigL's α


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
