"""What a method needs and does not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from spectral_engine.cost.budget import Budget, Cost
from spectral_engine.cost.narrowing import InTime
from spectral_engine.data.split import Split
from spectral_engine.graph.coupling import Coupling
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.methods.schedule import Schedule
from spectral_engine.records.progress import OnProgress
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.report import Drop
from spectral_engine.training.feed import Feed
from spectral_engine.training.passes import ONE_DEVICE, Passes


@dataclass(frozen=True)
class RunPlan:
    """The job as planned: `asked` is the user's budget, `end` where the path ends."""

    recipe: Recipe
    original: OpenedModel
    coupling: Coupling
    start: Cost
    asked: Budget
    end: Budget
    schedule: Schedule
    feed: Feed
    validation: Feed
    score: Callable[[NDArray[Any]], float]  # of answers to the validation rows; higher is better
    samples: Split
    metric_name: str
    measure: Callable[[OpenedModel], float]  # the metric on the validation rows
    drop_of: Callable[[OpenedModel], Drop]  # on the validation rows, with one standard error
    provenance: dict[str, str]
    work_dir: Path
    on_progress: OnProgress
    in_time: InTime | None = None  # of what is left without these groups; None where time is free
    resumable: bool = True  # whether a later run finds what this one leaves in the folder
    passes: Passes = ONE_DEVICE
