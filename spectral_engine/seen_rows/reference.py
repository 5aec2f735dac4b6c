"""The original without its memory of the held-out rows: a copy that is trained as the candidates are, and never cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from spectral_engine.methods.path import SpectralPath
from spectral_engine.methods.schedule import Event
from spectral_engine.methods.task import Task
from spectral_engine.progress import OnProgress, Progress
from spectral_engine.training.trainer import Trainer

FOLDER = "reference"


def retrain_original(
    task: Task, start_trainer: Callable[[], Trainer], rate: float, on_progress: OnProgress
) -> Path:
    """Return the ONNX file of the original after the steps that the narrowest candidate had, on the same rows.

    What training the same way on the same rows makes of it is what the cut is then compared with. It resumes as the
    path does, from a folder of its own.
    """
    folder = task.work_dir / FOLDER
    folder.mkdir(exist_ok=True)
    training = task.recipe.training.model_copy(update={"learning_rate": rate})
    schedule = replace(
        task.schedule,
        candidates=1,
        events=(Event(step=task.schedule.trunk_steps, fraction=0.0, level=0),),
    )
    uncut = replace(
        task,
        recipe=task.recipe.model_copy(update={"training": training}),
        schedule=schedule,
        work_dir=folder,
        on_progress=_without_candidates(on_progress),
    )
    return SpectralPath(uncut, start_trainer).run()[0].path


def _without_candidates(tell: OnProgress) -> OnProgress:
    """Tell how far it is, and nothing of a candidate: the reference is none."""

    def told(progress: Progress) -> None:
        tell(replace(progress, candidate=None, message="the original, trained and not cut"))

    return told
