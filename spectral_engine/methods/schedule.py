"""When nodes go: the steps of the path from wide to narrow, and where candidates branch off it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spectral_engine.records.training import Training, Trains

COOLING_SHARE = 0.3  # of the epochs: what every candidate trains after it has branched off
WARM_UP_STEPS = 20


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
    short_cooling_steps: int | None = (
        None  # of a candidate that cannot be handed back; as many as others where None
    )
    trunk_cools: bool = False  # whether the trunk is a training of its own, and ends at rate 0
    branch_trains: Trains | None = (
        None  # what a branch trains where that is not what the trunk does
    )

    @property
    def total_steps(self) -> int:
        """Steps of trunk and branches together, where every branch cools as long as the last one."""
        return self.trunk_steps + self.candidates * self.cooling_steps

    @property
    def longest_training(self) -> int:
        """Steps of one candidate at most: the trunk, and a whole cooling."""
        return self.trunk_steps + self.cooling_steps

    @property
    def trains(self) -> bool:
        """Whether there is a step at all."""
        return self.longest_training > 0

    @property
    def cuts_at_once(self) -> bool:
        """Whether all cuts come at the end of the trunk, which takes no step between them."""
        return len({event.step for event in self.events}) == 1

    def cooling_of(self, event: Event, *, in_budget: bool) -> int:
        """Return how many steps a candidate cools; the last one is handed back where none is within the budget."""
        if self.short_cooling_steps is None or in_budget or event == self.events[-1]:
            return self.cooling_steps
        return self.short_cooling_steps

    def trunk_share(self, step: int) -> float:
        """Share of the learning rate: warm up, then stay, as candidates cool down by themselves; or cool as well."""
        share = min(1.0, (step + 1) / WARM_UP_STEPS)
        return share * half_cosine(step, self.trunk_steps) if self.trunk_cools else share


def half_cosine(step: int, steps: int) -> float:
    """Fall from 1 to 0 by half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def one_training(training: Training, steps_per_epoch: int) -> Schedule:
    """Lay out one training at a steady rate, its cooling, and one candidate at its end."""
    total = training.epochs * steps_per_epoch
    cooling = max(1, round(total * COOLING_SHARE))
    trunk = max(1, total - cooling)
    return Schedule(
        trunk_steps=trunk,
        cooling_steps=cooling,
        candidates=1,
        events=(Event(step=trunk, fraction=0.0, level=0),),
    )
