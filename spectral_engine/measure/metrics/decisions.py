"""From canonical answers to decisions: which class, or on or off, in every place."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch
from spectral_engine.measure.metrics.rows import Array, flat
from spectral_engine.records.labels import Task

IGNORED = -1
UNDECIDED = -2  # what is not a number is no answer


@dataclass(frozen=True)
class Decisions:
    """What was decided and what is true, both [rows, places], of the rows that have a place that counts.

    `columns` tells that labels are on or off by themselves: `labels` of them, as many as there are places, or one for
    each channel of a map. `classes` is 2 for on and off.
    """

    decided: NDArray[np.int64]
    truth: NDArray[np.int64]
    classes: int
    columns: bool
    kept: NDArray[np.int64]
    dropped: int
    labels: int

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Places that count [rows, places]."""
        return np.asarray(self.truth != IGNORED)


def over_classes(answers: Array, labels: Array, task: Task | None) -> bool:
    """Tell whether the last axis of the answers holds classes; the task speaks where labels are answers themselves."""
    if not is_answers(labels):
        return labels.ndim < answers.ndim
    if task in {"classification", "binary", "multilabel"}:
        return task == "classification"
    return answers.ndim > 1 and answers.shape[-1] > 1


def is_answers(labels: Array) -> bool:
    """Tell whether labels are another model's answers."""
    return labels.dtype.kind == "f"


def over_columns(answers: Array, labels: Array, task: Task | None) -> bool:
    """Tell whether every place is a label of its own: the task says it, else tables of several columns are."""
    if over_classes(answers, labels, task):
        return False
    return task == "multilabel" or (task != "binary" and answers.ndim == 2)


def decide(answers: Array, *, classes: bool) -> NDArray[np.int64]:
    """Return the strongest class of the last axis, or whether an answer is above 0; −2 where an answer is NaN."""
    decided = answers.argmax(axis=-1) if classes else answers > 0
    nothing = np.isnan(answers.sum(axis=-1) if classes else answers)
    return np.where(nothing, UNDECIDED, decided).astype(np.int64)


def decisions(answers: Array, labels: Array, task: Task | None) -> Decisions:
    """Return decisions beside the truth; raises DatasetMismatch where the shapes do not fit."""
    classes = over_classes(answers, labels, task)
    truth = truth_of(answers, labels, classes=classes)
    decided = decide(answers, classes=classes)
    kept = counted_rows(truth)
    count = int(answers.shape[-1]) if classes else 2
    most = int(truth.max(initial=IGNORED)) + 1
    return Decisions(
        flat(decided)[kept],
        flat(truth)[kept],
        max(count, most),
        over_columns(answers, labels, task),
        kept,
        len(truth) - len(kept),
        _labels(truth),
    )


def _labels(truth: NDArray[np.int64]) -> int:
    """Return how many labels a row has where they are on or off: channels of a map [n, channels, h, w], else places."""
    return int(truth.shape[1]) if truth.ndim > 3 else prod(truth.shape[1:])


def truth_of(answers: Array, labels: Array, *, classes: bool) -> NDArray[np.int64]:
    """Return labels as class indices [rows, places…]; raises DatasetMismatch where they do not fit the answers."""
    places = answers.shape[:-1] if classes else answers.shape
    truth = labels.astype(np.int64)
    if is_answers(labels):
        truth = decide(labels, classes=classes)
        truth[truth == UNDECIDED] = IGNORED
    if truth.shape != places:
        raise DatasetMismatch(
            f"labels have the shape {list(labels.shape)}, and answers {list(answers.shape)}: "
            "give one label for each place that is answered",
            pointer="#/y",
        )
    return truth


def counted_rows(truth: NDArray[Any]) -> NDArray[np.int64]:
    """Return the rows that have a place that counts."""
    return np.flatnonzero((flat(truth) != IGNORED).any(axis=1))
