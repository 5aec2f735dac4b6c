"""What a job does about rows that the original may have seen, before it trains."""

from __future__ import annotations

from pathlib import Path

from spectral_engine.judging.seen_rows.memory import Memory
from spectral_engine.judging.seen_rows.said import seen_parts
from spectral_engine.judging.seen_rows.signs import can_look, memory_sign
from spectral_engine.judging.seen_rows.story import statement
from spectral_engine.preparation.prepare import PreparedJob
from spectral_engine.records.method import METHODS
from spectral_engine.records.progress import OnProgress, Progress

SIGN_FILE = "memory-sign.json"


def look(job: PreparedJob, folder: Path | None, on_progress: OnProgress) -> Memory:
    """Return what is said of the rows, or what is found where nothing is; a sign found is a warning at once."""
    parts = seen_parts(job.recipe, job.splits)
    if parts is not None:
        return Memory("test" in parts, parts)
    sign = memory_sign(job, None if folder is None else folder / SIGN_FILE)
    memory = Memory(None, (), sign)
    if memory.suspected:
        warning = statement(memory)
        on_progress(Progress("measuring_baseline", 0.0, step=0, total_steps=0, warning=warning))
    return memory


def needs_rehearsal(job: PreparedJob, memory: Memory) -> bool:
    """Say whether the job must be rehearsed: a floor is asked for on rows that the original saw, or seems to have seen.

    Only where something is cut; without labels, or in a metric against the original's own answers, nothing is
    overstated.
    """
    floor = job.recipe.target.max_metric_drop is not None
    cuts = METHODS.get(job.recipe.method).removes_nodes
    told = can_look(job) and not job.evaluation.rule.against_original
    return floor and cuts and told and (memory.said is True or memory.suspected)
