"""What a running compression tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Stage = Literal[
    "importing",
    "measuring_baseline",
    "training",
    "fine_tuning",
    "exporting",
    "verifying",
    "reporting",
]


@dataclass(frozen=True)
class CandidateFile:
    """A candidate that is finished and saved: what a cancelled job still has.

    `validation_drop` is how much worse than the original it is on validation rows, `careful_drop` adds one standard
    error; `within_budget` leaves out a limit of time, which is measured when all candidates are there.
    """

    index: int
    path: Path
    nodes: int
    params: int
    macs: int
    metric_name: str
    validation_metric: float
    validation_drop: float
    within_budget: bool = True
    external: tuple[Path, ...] = ()  # files of external data beside it
    careful_drop: float | None = None


@dataclass(frozen=True)
class Progress:
    """One step forward: where the job stands, and what is new.

    `fraction` runs from 0 to 1 over the whole job and never falls; `eta_seconds` is None while unknown.
    """

    stage: Stage
    fraction: float
    step: int
    total_steps: int
    eta_seconds: float | None = None
    message: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    candidate: CandidateFile | None = None
    warning: str | None = None


OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Take progress and do nothing with it."""
    del progress
