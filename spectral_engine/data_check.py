"""`check` and `dry_run`: what a data set means beside a model, found out and told before anything trains."""

from __future__ import annotations

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
from spectral_engine.unforeseen import unforeseen


def check(
    model: str | Path | bytes | OpenedModel,
    data: str | Path,
    recipe: Recipe | dict[str, Any] | str | None = None,
    **facts: Unpack[DataFacts],
) -> DataCheck:
    """Say how a data set is read and what it means; nothing trains, and held-out rows stay unread.

    Raises the EngineError with which `compress` would stop, but for its target, which is not looked at.
    """
    asked = Recipe.parse(recipe)
    # Whether a floor can be judged is told, not raised: this is the place to look at it.
    bare = asked.model_copy(update={"target": Target()})
    with unforeseen(lambda: "checking the data"):
        return _told(
            prepare(
                model,
                data,
                bare,
                **facts,
            )
        )


def dry_run(
    model: str | Path | bytes | OpenedModel,
    data: str | Path,
    recipe: Recipe | dict[str, Any] | str | None = None,
    **facts: Unpack[DataFacts],
) -> DataCheck:
    """Go the way of `compress` up to its training, target included, and say what the data mean to it.

    Raises the EngineError with which `compress` would stop before it trains.
    """
    asked = Recipe.parse(recipe)
    with unforeseen(lambda: "checking the job"):
        job = prepare(
            model,
            data,
            asked,
            **facts,
        )
        job.objective.refuse_untrainable()
        refuse_infeasible(job)
        return _told(job)


def _told(job: PreparedJob) -> DataCheck:
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
