"""When nodes go: the steps of the path from wide to narrow, and where candidates branch off it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spectral_engine.recipe import Training

COOLING_SHARE = 0.3  # of the epochs: what every candidate trains after it has branched off
WARM_UP_STEPS = 20
LEAST_EVENTS = 40  # small bites hurt less than large ones
DEFAULT_LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Event:
    """One narrowing: after `step` steps, to `fraction` of the path; `level` where a candidate branches off."""

    step: int
    fraction: float
    level: int | None


@dataclass(frozen=True)
class Schedule:
    """The trunk of one training, and the cooling of each candidate that leaves it."""

    trunk_steps: int
    cooling_steps: int
    candidates: int
    events: tuple[Event, ...]
    learning_rate: float

    @property
    def total_steps(self) -> int:
        """Steps of trunk and branches together."""
        return self.trunk_steps + self.candidates * self.cooling_steps

    def trunk_rate(self, step: int) -> float:
        """Warm up, then stay: candidates cool down by themselves."""
        return self.learning_rate * min(1.0, (step + 1) / WARM_UP_STEPS)

    def cooling_rate(self, step: int) -> float:
        """Fall to zero by half a cosine."""
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * step / self.cooling_steps))


def plan_schedule(training: Training, steps_per_epoch: int, candidates: int) -> Schedule:
    """Spread the narrowing evenly over the trunk; every candidate sees trunk and cooling epochs at most."""
    total = training.epochs * steps_per_epoch
    cooling = max(1, round(total * COOLING_SHARE))
    trunk = max(candidates, total - cooling)
    bites = max(1, min(math.ceil(LEAST_EVENTS / candidates), trunk // candidates))
    count = candidates * bites
    events = tuple(
        Event(
            step=max(1, round(trunk * index / count)),
            fraction=index / count,
            level=index // bites - 1 if index % bites == 0 else None,
        )
        for index in range(1, count + 1)
    )
    rate = training.learning_rate or DEFAULT_LEARNING_RATE
    return Schedule(trunk, cooling, candidates, events, rate)
