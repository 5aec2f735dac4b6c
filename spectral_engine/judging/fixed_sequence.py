"""Several candidates, one chance of error: which are tested on held-out rows, in which order, and where that ends.

Fixed-sequence testing (Westfall & Krishen, J. Statist. Plan. Inference 99, 2001; as Learn then Test for models by
Angelopoulos et al., 2021): each test has the full level, and the first that fails is the last. To hand back a model
that is worse than the floor, the first such one in the sequence must pass, and the chance of that is the level. The
order may come from anything but the held-out rows. docs/decisions/0004 says why this order.
"""

from __future__ import annotations

from collections.abc import Sequence

from spectral_engine.cost.budget import Budget
from spectral_engine.judging.choice import Option
from spectral_engine.records.choice import size
from spectral_engine.records.report import FloorStatus


def order_of_tests(options: Sequence[Option], budget: Budget) -> list[int]:
    """Return which candidates are tested, from wide to narrow, by what validation rows say.

    Those within the budget that no narrower one beats: so the first is the one most surely within the floor, and each
    that follows is narrower and less sure. The original itself needs no test.
    """
    order: list[int] = []
    fitting = [
        i
        for i, option in enumerate(options)
        if not option.unchanged and not budget.exceeded_by(option.cost)
    ]
    for index in sorted(fitting, key=lambda i: size(options[i].cost), reverse=True):
        while order and options[order[-1]].careful_drop >= options[index].careful_drop:
            order.pop()
        order.append(index)
    return order


def fixed_sequence_test(order: Sequence[int], passed: Sequence[bool]) -> list[FloorStatus]:
    """Return what came of each candidate; `passed` says of each whether its own test, at the full level, would pass."""
    statuses: list[FloorStatus] = ["left_out"] * len(passed)
    for position, index in enumerate(order):
        statuses[index] = "shown" if passed[index] else "not_shown"
        if not passed[index]:
            for later in order[position + 1 :]:
                statuses[later] = "not_reached"
            break
    return statuses


def narrowest_shown(order: Sequence[int], statuses: Sequence[FloorStatus]) -> int | None:
    """Return the last candidate of the sequence that was shown to keep the floor."""
    return next((index for index in reversed(order) if statuses[index] == "shown"), None)
