"""Bootstrap resamples as weights: how often each row is in each of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CELLS = 4_000_000  # of the weights that are held at once


def resampled(
    figure: Callable[[Floats], Floats], rows: int, count: int, rng: np.random.Generator
) -> Floats:
    """Return a figure of so many resamples [count]; `figure` takes weights [rows, resamples]."""
    step = max(1, CELLS // rows)
    chunks = [min(step, count - start) for start in range(0, count, step)]
    return np.concatenate([figure(_weights(rows, chunk, rng)) for chunk in chunks])


def _weights(rows: int, count: int, rng: np.random.Generator) -> Floats:
    drawn = rng.integers(0, rows, (rows, count)) * count + np.arange(count)
    return np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(float)
