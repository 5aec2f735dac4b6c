"""Loops that take turns in one run, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

import numpy as np


def seconds_in_turns(
    steps: Mapping[str, Callable[[], object]],
    rounds: int,
    warm_up: int,
    clock: Callable[[], float],
) -> dict[str, list[float]]:
    """Return how long each step took in each round, by this clock; the order within a round is drawn."""
    for step in steps.values():
        for _ in range(warm_up):
            step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    order = np.random.default_rng(0)
    for _ in range(rounds):
        for name in order.permutation(list(steps)):
            begun = clock()
            steps[name]()
            seconds[name].append(clock() - begun)
    return seconds


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))
