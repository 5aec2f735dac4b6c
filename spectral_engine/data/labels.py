"""Labels: integers from 0 on for classes, floats for regression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.checks import check_finite
from spectral_engine.errors import DatasetMismatch
from spectral_engine.recipe import Task

Array = NDArray[Any]
CLASS_TASKS = {"classification", "binary"}


def read_labels(labels: Array, task: Task | None, field: str) -> tuple[Array, list[str] | None]:
    """Return labels to train on, and the names of classes where they had other names than 0..k−1.

    Integers, booleans and strings are classes unless the task is regression. Floats are targets unless the task
    says that they are classes. Raises DatasetMismatch for missing values, one class only, fewer rows than classes.
    """
    if len(labels) == 0:
        raise DatasetMismatch(f"{field!r} is empty", pointer=f"#/{field}")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    check_finite(labels, field)
    if task == "regression" or (labels.dtype.kind == "f" and task not in CLASS_TASKS):
        return _numbers(labels, field), None
    if labels.ndim > 1:
        return labels.astype(np.float32 if task == "multilabel" else np.int64), None
    return _classes(labels, field)


def _numbers(labels: Array, field: str) -> Array:
    if labels.dtype.kind not in "fiub":
        raise DatasetMismatch(f"{field!r} holds {labels.dtype}, not numbers", pointer=f"#/{field}")
    return labels.astype(np.float32)


def _classes(labels: Array, field: str) -> tuple[Array, list[str] | None]:
    values, places = np.unique(labels, return_inverse=True)
    if len(values) == 1:
        raise DatasetMismatch(
            f"{field!r} holds one class only, {values[0]!r}: nothing can be learned from it",
            pointer=f"#/{field}",
        )
    if len(labels) < 2 * len(values):
        raise DatasetMismatch(
            f"{field!r} holds {len(values)} classes in {len(labels)} rows: give at least two rows of each, "
            'or task "regression"',
            pointer=f"#/{field}",
        )
    if labels.dtype.kind in "iub" and int(values[0]) >= 0:
        return labels.astype(np.int64), None
    if labels.dtype.kind == "f" and np.array_equal(values, np.round(values)) and values[0] >= 0:
        return labels.astype(np.int64), None
    return places.astype(np.int64), [str(value) for value in values]
