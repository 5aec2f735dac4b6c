"""Rules that say which candidate is handed back as within the floor: ours, and what else one might do."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spectral_engine.cost.budget import Budget, Cost
from spectral_engine.judging.choice import Option
from spectral_engine.judging.fixed_sequence import (
    fixed_sequence_test,
    narrowest_shown,
    order_of_tests,
)

FREE = Budget({})
ASYMPTOTIC_RULES = ("certified", "uncorrected")


@dataclass(frozen=True)
class Draw:
    """One split: candidates as validation rows see them, drops and p-values on held-out rows."""

    options: Sequence[Option]
    drops: Sequence[float]
    p_values: Sequence[float]
    floor: float
    level: float


def option(nodes: int, drop: float, careful: float) -> Option:
    return Option(Cost(nodes, nodes, nodes), drop, careful)


def certified(draw: Draw) -> int | None:
    """What the engine does."""
    return _in_sequence(draw, order_of_tests(draw.options, FREE))


def every_candidate(draw: Draw) -> int | None:
    """Fixed-sequence testing of all candidates, without a look at validation rows."""
    return _in_sequence(draw, list(range(len(draw.options))))


def bonferroni(draw: Draw) -> int | None:
    """The narrowest that passes at the level over the number of candidates."""
    return _narrowest(np.asarray(draw.p_values) <= draw.level / len(draw.p_values))


def uncorrected(draw: Draw) -> int | None:
    """The narrowest that passes at the full level."""
    return _narrowest(np.asarray(draw.p_values) <= draw.level)


def point_estimate(draw: Draw) -> int | None:
    """Validation rows choose, with one standard error of care; met where the measured drop is within the floor."""
    careful = np.array([option.careful_drop for option in draw.options])
    chosen = _narrowest(careful <= draw.floor)
    chosen = int(careful.argmin()) if chosen is None else chosen
    return chosen if draw.drops[chosen] <= draw.floor else None


def _in_sequence(draw: Draw, order: list[int]) -> int | None:
    return narrowest_shown(
        order, fixed_sequence_test(order, [p <= draw.level for p in draw.p_values])
    )


def _narrowest(passing: np.ndarray) -> int | None:
    passing_indices = np.flatnonzero(passing)
    return int(passing_indices[-1]) if len(passing_indices) else None


RULES = {
    rule.__name__: rule
    for rule in (certified, every_candidate, bonferroni, uncorrected, point_estimate)
}
