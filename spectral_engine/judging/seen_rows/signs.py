"""Signs that the original was trained on the rows at hand, where nobody says it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spectral_engine.data.split import Split
from spectral_engine.errors import Diverged
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.measure.memory import (
    THRESHOLD,
    class_losses,
    number_losses,
    place_between,
    score_losses,
)
from spectral_engine.methods.schedule import half_cosine
from spectral_engine.preparation.prepare import PreparedJob
from spectral_engine.records.seen_rows import MemorySign
from spectral_engine.records.training import Spectral
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.feed import Feed
from spectral_engine.training.trainer import Trainer

STEPS, BATCH, RATE = 60, 64, 3e-3
SHAKE = 0.3  # of a weight matrix's own deviation
MOST_ROWS, FEWEST_ROWS = 1000, 40  # of each half
MOST_ANSWERS = 4_000_000  # numbers in the answers to one half
ORDER = 32_452_843  # keeps the halves' random numbers apart from others
TASKS = {"classification", "binary", "multilabel", "regression"}


def memory_sign(job: PreparedJob, kept: Path | None) -> MemorySign | None:
    """Return what a second training on half of the rows shows; None where it can show nothing.

    It is written to `kept`, and read from there where it stands: so that a job that resumes does not train again.
    """
    if not can_look(job):
        return None
    if kept is not None and kept.is_file():
        return MemorySign.model_validate_json(kept.read_text())
    again, left_out = halves(job)
    if min(again.rows, left_out.rows) < FEWEST_ROWS:
        return None
    try:
        sign = _train_again(job, again, left_out)
    except Diverged:
        return None
    if kept is not None and sign is not None:
        kept.write_text(json.dumps(sign.model_dump()))
    return sign


def can_look(job: PreparedJob) -> bool:
    """Say whether labels tell what is right, one loss for each answer."""
    meaning = job.meaning
    kinds = meaning.kind in {"classes", "scores", "numbers"}
    return meaning.labelled and meaning.task in TASKS and kinds


def halves(job: PreparedJob) -> tuple[Split, Split]:
    """Return rows to train on again, and rows that only answer: all of them ones that the file gives alike.

    Held-out rows are asked only where they are a split of their own: others cannot speak for them. Where all parts
    were cut from the same rows, those that are left of the training rows and validation rows answer.
    """
    splits = job.splits
    rng = np.random.default_rng([job.recipe.seed, ORDER])
    order = rng.permutation(splits.train.rows)
    most = _most_rows(job)
    count = min(most, splits.train.rows // 2)
    again = splits.train.take(np.sort(order[:count]))
    if "test" in splits.given:
        return again, _some(splits.test, most, rng)
    rest = splits.train.take(np.sort(order[count : count + most]))
    return again, rest


def _most_rows(job: PreparedJob) -> int:
    per_row = max(1, int(np.prod(job.meaning.layout.row_shape, dtype=np.int64)))
    return max(1, min(MOST_ROWS, MOST_ANSWERS // per_row))


def _some(split: Split, most: int, rng: np.random.Generator) -> Split:
    return split.take(np.sort(rng.permutation(split.rows)[:most]))


def _train_again(job: PreparedJob, again: Split, left_out: Split) -> MemorySign | None:
    runner = job.original.runner

    def by_original(part: Split) -> NDArray[Any]:
        return job.meaning.raw(runner.predict_all(part, outputs=job.meaning.outputs))

    before, temperature = _losses(job, by_original, again, left_out)
    trainer = _shaken(job)
    feed = Feed(again, BATCH, job.device)
    for step in range(STEPS):
        trainer.step(feed.at_step(step, job.recipe.seed), RATE * half_cosine(step, STEPS))

    def by_copy(part: Split) -> NDArray[Any]:
        return trainer.answers(Feed(part, BATCH, job.device))

    (trained,), _ = _losses(job, by_copy, again)
    (watched,), _ = _losses(job, by_copy, left_out)
    standing = place_between(before[0] - trained, watched - before[1], temperature)
    if not isfinite(standing.value):
        return None
    return MemorySign(
        place=standing.value,
        error=standing.error,
        threshold=THRESHOLD,
        learned=standing.learned,
        forgotten=standing.forgotten,
        temperature=standing.temperature,
        found=standing.remembers,
        rows_trained=again.rows,
        rows_watched=left_out.rows,
    )


def _shaken(job: PreparedJob) -> Trainer:
    """Return a copy of the original whose weights have some noise: what errs on no row would not move, nor forget."""
    objective = replace(job.objective, distill=0.0, others=())
    module = job.module()
    generator = torch.Generator().manual_seed(job.recipe.seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1 and parameter.numel() > 1 and parameter.is_floating_point():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(SHAKE * parameter.std() * noise.to(parameter.dtype))
    model = SpectralModel(module.to(job.device), job.coupling, Spectral())
    return Trainer(model, objective, None, job.recipe.training, job.device)


def _losses(
    job: PreparedJob, answering: Callable[[Split], NDArray[Any]], *parts: Split
) -> tuple[list[NDArray[np.float64]], float]:
    """Return each row's loss in some parts, at one temperature for all of them, and that."""
    answers = [job.meaning.answers(answering(part)) for part in parts]
    labels = [part.labels for part in parts if part.labels is not None]
    losses, temperature = row_losses(job.meaning, np.concatenate(answers), np.concatenate(labels))
    return np.split(losses, np.cumsum([part.rows for part in parts])[:-1]), temperature


def row_losses(
    meaning: Meaning, answers: NDArray[Any], labels: NDArray[Any]
) -> tuple[NDArray[np.float64], float]:
    """Return each row's loss [rows], of answers and labels in canonical form, and the temperature for it."""
    if meaning.kind == "classes":
        return class_losses(answers, labels, meaning.layout.form)
    if meaning.kind == "scores":
        return score_losses(answers, labels, meaning.layout.form)
    return number_losses(answers, labels), 1.0
