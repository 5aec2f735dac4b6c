"""Which candidate is handed back, by what validation rows say of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spectral_engine.cost.budget import Budget, Cost


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


def choose(options: Sequence[Option], budget: Budget, max_drop: float | None) -> int:
    """Return the index of the best candidate.

    Within the budget: the narrowest whose measured drop is allowed; else the one most surely within the drop; without
    a bound on the drop, the most accurate. Where none is within the budget, the narrowest. What a drop allows here is
    not shown yet: that is the held-out rows' business.
    """
    fitting = [i for i, option in enumerate(options) if not budget.exceeded_by(option.cost)]
    if not fitting:
        return min(range(len(options)), key=lambda i: size(options[i]))
    if max_drop is None:
        return min(fitting, key=lambda i: (options[i].drop, size(options[i])))
    allowed = [i for i in fitting if options[i].drop <= max_drop]
    if allowed:
        return min(allowed, key=lambda i: size(options[i]))
    return min(fitting, key=lambda i: (options[i].careful_drop, size(options[i])))


def size(option: Option) -> tuple[int, int, int]:
    """Return what makes one candidate wider than another: multiply-adds first."""
    return option.cost.macs, option.cost.params, option.cost.nodes
