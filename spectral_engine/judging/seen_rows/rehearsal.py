"""The whole job again, on a stand-in that never saw the held-out rows: what a cut costs where nothing is remembered.

The original remembers such rows, and what is cut out of it forgets them by the way: its measured drop is that loss of
memory too. And a candidate remembers some of them still, so that its own metric is too high as well. So the original's
architecture is trained from fresh weights on the training rows, by labels and the original's answers to these rows, and
narrowed just as the original was. All that is then compared has never seen the held-out rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from spectral_engine.evaluation.evaluation import Evaluation
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.methods.prune.options import Prune
from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.methods.schedule import Schedule, one_training
from spectral_engine.planning import start_run
from spectral_engine.preparation.prepare import PreparedJob
from spectral_engine.records.progress import OnProgress, Progress
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.training import Spectral

STAND_IN, NARROWED = "stand-in", "rehearsal"  # folders
FEWEST_STEPS = 1000  # of the stand-in's training


@dataclass(frozen=True)
class Rehearsal:
    """The stand-in, and the candidates that were cut out of it, from wide to narrow."""

    stand_in: Path
    candidates: tuple[Path, ...]
    nodes: tuple[int, ...]


def rehearse(job: PreparedJob, plan: RunPlan, on_progress: OnProgress) -> Rehearsal:
    """Train the stand-in and narrow it; resumes as the job's own path does, from folders of its own."""
    quiet = _without_candidates(on_progress)
    stand_in = _stand_in(job, plan, quiet)
    original = OpenedModel(stand_in)
    evaluation = Evaluation(job.meaning, original, job.splits, job.recipe)
    narrowed = replace(
        plan,
        original=original,
        measure=evaluation.validation_metric,
        score=evaluation.validation_score,
        work_dir=_folder(plan, NARROWED),
        on_progress=quiet,
    )
    built = start_run(replace(job, original=original, evaluation=evaluation), narrowed).run()
    return Rehearsal(
        stand_in, tuple(item.path for item in built), tuple(item.cost.nodes for item in built)
    )


def share_of_rehearsal(plan: RunPlan) -> float:
    """Return which part of the steps of a job with a rehearsal it takes."""
    steps = plan.schedule.total_steps
    extra = steps + _schedule_of_stand_in(plan).total_steps
    return extra / (steps + extra)


def _stand_in(job: PreparedJob, plan: RunPlan, tell: OnProgress) -> Path:
    recipe = _from_fresh_weights(job.recipe)
    uncut = replace(
        plan,
        recipe=recipe,
        schedule=_schedule_of_stand_in(plan),
        work_dir=_folder(plan, STAND_IN),
        on_progress=tell,
    )
    return start_run(replace(job, recipe=recipe), uncut).run()[0].path


def _from_fresh_weights(recipe: Recipe) -> Recipe:
    changes = {"method": "retrain", "spectral": Spectral(init="fresh"), "prune": Prune()}
    return recipe.model_copy(update=changes)


def _schedule_of_stand_in(plan: RunPlan) -> Schedule:
    """Return the job's own epochs, or as many as it takes for fresh weights to learn anything."""
    steps = plan.feed.steps_per_epoch
    training = plan.recipe.training
    epochs = max(training.epochs, ceil(FEWEST_STEPS / steps))
    return one_training(training.model_copy(update={"epochs": epochs}), steps)


def _folder(plan: RunPlan, name: str) -> Path:
    folder = plan.work_dir / name
    folder.mkdir(exist_ok=True)
    return folder


def _without_candidates(tell: OnProgress) -> OnProgress:
    """Tell how far it is, and nothing of candidates: none of these is handed back."""

    def told(progress: Progress) -> None:
        tell(replace(progress, candidate=None, message="rehearsing on a stand-in"))

    return told
