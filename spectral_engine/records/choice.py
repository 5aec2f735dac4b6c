"""The rule by which validation rows choose the candidate that is given back, of a finished job and of a cancelled one.

Light to import: the records of a cancelled job are read where there is no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Standing:
    """How a candidate stands: its size, whether it is within every budget, and what it loses on validation rows.

    Drops are in the metric's own unit. `careful_drop` adds one standard error, where that is known.
    """

    macs: int
    params: int
    nodes: int
    within_budget: bool
    drop: float
    careful_drop: float


class Sized(Protocol):
    """What has the numbers of a candidate's size."""

    @property
    def macs(self) -> int: ...  # noqa: D102
    @property
    def params(self) -> int: ...  # noqa: D102
    @property
    def nodes(self) -> int: ...  # noqa: D102


def size(of: Sized) -> tuple[int, int, int]:
    """Return what makes one candidate wider than another: multiply-adds first."""
    return of.macs, of.params, of.nodes


def choose_standing(standings: Sequence[Standing], max_drop: float | None) -> int:
    """Return the index of the best candidate; of those that are alike in all that counts, the first.

    Within the budget: the narrowest whose measured drop is allowed; else the one most surely within the drop; without
    a bound on the drop, the most accurate. Where none is within the budget, the narrowest.
    """
    everyone = range(len(standings))
    fitting = [i for i in everyone if standings[i].within_budget]
    if not fitting:
        return min(everyone, key=lambda i: size(standings[i]))
    if max_drop is None:
        return min(fitting, key=lambda i: (standings[i].drop, size(standings[i])))
    allowed = [i for i in fitting if standings[i].drop <= max_drop]
    if allowed:
        return min(allowed, key=lambda i: size(standings[i]))
    return min(fitting, key=lambda i: (standings[i].careful_drop, size(standings[i])))
