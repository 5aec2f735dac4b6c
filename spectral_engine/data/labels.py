"""Labels as the file holds them: what they mean is found beside the model."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from spectral_engine.data.checks import check_finite
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]


def check_labels(labels: Array, field: str) -> Array:
    """Return labels as they are; raises DatasetMismatch where there are none, or some are missing."""
    if labels.ndim == 0 or len(labels) == 0:
        raise DatasetMismatch(f"{field!r} is empty", pointer=f"#/{field}")
    check_finite(labels, field)
    return labels
