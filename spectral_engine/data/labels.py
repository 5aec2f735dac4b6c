"""Labels as the file holds them: what they mean is found beside the model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.checks import check_finite
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]


def check_labels(labels: Array, field: str) -> Array:
    """Return labels as they are; raises DatasetMismatch where there are none, or some are missing."""
    if labels.ndim == 0 or len(labels) == 0:
        raise DatasetMismatch(f"{field!r} is empty", pointer=f"#/{field}")
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind not in "fiubU":
        raise DatasetMismatch(
            f"{field!r} holds {labels.dtype}, which is no label: give numbers or texts",
            pointer=f"#/{field}",
        )
    rows = _without_value(labels)
    if len(rows):
        remedy = "drop them"
        if labels[:1].size > 1:
            remedy += "; of classes, write −1 where a step or place has none, or a value that `labels.ignore` names"
        raise DatasetMismatch(
            f"{field!r} has no value in row {rows[0]} ({len(rows):,} of {len(labels):,} rows have none): {remedy}",
            pointer=f"#/{field}/{rows[0]}",
        )
    check_finite(labels, field)
    return labels


def _without_value(labels: Array) -> NDArray[np.int64]:
    """Return the rows in which a label is NaN or an empty text."""
    if labels.dtype.kind not in "fU":
        return np.empty(0, np.int64)
    missing = np.isnan(labels) if labels.dtype.kind == "f" else labels == ""
    return np.flatnonzero(missing.reshape(len(labels), -1).any(axis=1))
