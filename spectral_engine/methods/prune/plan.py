"""When nodes go: while the model trains, or all at once."""

from __future__ import annotations

import math

from spectral_engine.methods.prune.options import Prune
from spectral_engine.methods.schedule import COOLING_SHARE, Event, Schedule
from spectral_engine.records.training import Training

SHORT_COOLING = 1 / 3  # of a cooling: for what exceeds the budget, and is only shown
LEAST_EVENTS = 40  # small bites hurt less than large ones
HASTE = (
    4.0  # t of the trunk is 1 − (1 − t)^HASTE of the way: most of the training is for what stays
)
RANKING_SHARE = 0.5  # of the epochs, before everything is cut at once; fine-tuning takes the rest


def plan_pruning(training: Training, prune: Prune, steps_per_epoch: int) -> Schedule:
    """Lay out when nodes go; no candidate sees more than `training.epochs` epochs from the start to its end."""
    total = training.epochs * steps_per_epoch
    if prune.when == "gradual":
        return _gradual(prune, total)
    return _at_once(prune, total)


def _gradual(prune: Prune, total: int) -> Schedule:
    """Spread the narrowing over the trunk, most of it early."""
    candidates = prune.candidates
    cooling = max(1, round(total * COOLING_SHARE))
    trunk = max(candidates, total - cooling)
    bites = max(1, min(math.ceil(LEAST_EVENTS / candidates), trunk // candidates))
    count = candidates * bites
    events = tuple(
        Event(
            step=max(1, round(trunk * (1 - (1 - index / count) ** (1 / HASTE)))),
            fraction=index / count,
            level=index // bites - 1 if index % bites == 0 else None,
        )
        for index in range(1, count + 1)
    )
    short = None if prune.finish == "all" else max(1, round(cooling * SHORT_COOLING))
    return Schedule(trunk, cooling, candidates, one_bite_a_step(events), short)


def one_bite_a_step(events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Leave out a bite that another follows before the next step: nothing trains between them."""
    following = (*events[1:], None)
    return tuple(
        event
        for event, after in zip(events, following, strict=True)
        if event.level is not None or after is None or after.step > event.step
    )


def _at_once(prune: Prune, total: int) -> Schedule:
    """Train, then cut to every level from there, each with a fine-tuning of its own."""
    # Without an epoch there are no steps at all: everything is cut before the first one.
    tuning = round(total * (1 - RANKING_SHARE)) if prune.fine_tune else 0
    trunk = max(min(1, total), total - tuning)
    events = tuple(
        Event(step=trunk, fraction=level / prune.candidates, level=level - 1)
        for level in range(1, prune.candidates + 1)
    )
    return Schedule(
        trunk_steps=trunk,
        cooling_steps=tuning,
        candidates=prune.candidates,
        events=events,
        trunk_cools=True,
        branch_trains="both" if prune.when == "pre" else None,
    )
