"""`check` and `dry_run`: what a data set means beside a model, found out and told before anything trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

from spectral_engine.errors import DatasetMismatch
from spectral_engine.evaluation.moving import floor_obstacle
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.planning import refuse_infeasible
from spectral_engine.preparation.prepare import PreparedJob, prepare
from spectral_engine.records.data_check import DataCheck
from spectral_engine.records.data_facts import DataFacts
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.target import Target
from spectral_engine.remote import on_this_machine
from spectral_engine.unforeseen import unforeseen

Model = str | Path | bytes | OpenedModel


def check(
    model: Model,
    data: str | Path,
    recipe: Recipe | dict[str, Any] | str | None = None,
    **facts: Unpack[DataFacts],
) -> DataCheck:
    """Say how a data set is read and what it means; nothing trains, and held-out rows stay unread.

    Raises the EngineError with which `compress` would stop, but for its target, which is not looked at.
    """
    with unforeseen(lambda: "checking the data"), _here(model, data) as (model_here, data_here):
        return told_of(checked_job(model_here, data_here, recipe, **facts))


def checked_job(
    model: Model,
    data: str | Path,
    recipe: Recipe | dict[str, Any] | str | None = None,
    **facts: Unpack[DataFacts],
) -> PreparedJob:
    """Return the job that `check` looks at: without a target."""
    # Whether a floor can be judged is told, not raised: this is the place to look at it.
    bare = Recipe.parse(recipe).model_copy(update={"target": Target()})
    return prepare(model, data, bare, **facts)


def dry_run(
    model: Model,
    data: str | Path,
    recipe: Recipe | dict[str, Any] | str | None = None,
    **facts: Unpack[DataFacts],
) -> DataCheck:
    """Go the way of `compress` up to its training, target included, and say what the data mean to it.

    Raises the EngineError with which `compress` would stop before it trains.
    """
    with unforeseen(lambda: "checking the job"), _here(model, data) as (model_here, data_here):
        return told_of(startable_job(model_here, data_here, recipe, **facts))


def startable_job(
    model: Model,
    data: str | Path,
    recipe: Recipe | dict[str, Any] | str | None = None,
    **facts: Unpack[DataFacts],
) -> PreparedJob:
    """Return the job that `dry_run` looks at: one that could start to train."""
    job = prepare(model, data, Recipe.parse(recipe), **facts)
    job.objective.refuse_untrainable()
    refuse_infeasible(job)
    return job


@contextmanager
def _here(model: Model, data: str | Path) -> Iterator[tuple[Model, str | Path]]:
    with (
        on_this_machine(model, "model") as model_here,
        on_this_machine(data, "data") as data_here,
    ):
        yield model_here, data_here


def told_of(job: PreparedJob) -> DataCheck:
    """Return what is told of a job's data."""
    meaning = job.splits.summary.meaning
    if meaning is None:
        raise DatasetMismatch("nothing was understood of these data", pointer="#/file")
    return DataCheck(
        model_sha256=job.model_sha256,
        data=job.splits.summary,
        meaning=meaning,
        metric=job.evaluation.metric,
        original=job.evaluation.validation_baseline(),
        still=floor_obstacle(job.evaluation),
    )
