"""What a job does about rows that the original may have seen, before it trains and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from spectral_engine.methods.task import Task
from spectral_engine.progress import OnProgress, Progress
from spectral_engine.seen_rows.memory import Memory
from spectral_engine.seen_rows.reference import retrain_original
from spectral_engine.seen_rows.said import seen_parts
from spectral_engine.seen_rows.signs import can_look, memory_sign
from spectral_engine.seen_rows.story import statement
from spectral_engine.setup import Setup
from spectral_engine.training.trainer import Trainer

SIGN_FILE = "memory-sign.json"


def look(setup: Setup, folder: Path | None, on_progress: OnProgress) -> Memory:
    """Return what is said of the rows, or what is found where nothing is; a sign found is a warning at once."""
    parts = seen_parts(setup.recipe, setup.splits)
    if parts is not None:
        return Memory("test" in parts, parts, None)
    sign = memory_sign(setup, None if folder is None else folder / SIGN_FILE)
    memory = Memory(None, (), sign)
    if memory.suspected:
        warning = statement(memory, compared=False)
        on_progress(Progress("measuring_baseline", 0.0, step=0, total_steps=0, warning=warning))
    return memory


def needs_reference(setup: Setup, memory: Memory) -> bool:
    """Say whether the original must be retrained: a floor is asked for on rows that it saw, or seems to have seen.

    A `retrain` job would compare with itself; without labels, or in a metric against the original's own answers,
    nothing is overstated.
    """
    floor = setup.recipe.target.max_metric_drop is not None
    cuts = setup.recipe.method != "retrain"
    told = can_look(setup) and not setup.evaluation.rule.against_original
    return floor and cuts and told and (memory.said is True or memory.suspected)


def share_of_uncut(task: Task) -> float:
    """Return which part of all steps the original's own training takes."""
    own = task.schedule.trunk_steps + task.schedule.cooling_steps
    return own / (own + task.schedule.total_steps)


def with_reference(
    memory: Memory, task: Task, start: Callable[[], Trainer], rate: float, on_progress: OnProgress
) -> Memory:
    """Return the same with the original retrained."""
    return replace(memory, reference=retrain_original(task, start, rate, on_progress))
