"""Characters in another order than the reader's classes: matched with what it reads where the lengths agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.meaning.meaning import Meaning
from spectral_engine.measure.metrics.text import read_greedily

Array = NDArray[Any]


def matched_characters(meaning: Meaning, outputs: Array, labels: Array) -> NDArray[np.int64] | None:
    """Return as which class each class of the labels is read [k]; None where nothing is read, or all stays in place.

    The blank keeps its place.
    """
    count = outputs.shape[-1]
    seen = np.zeros((count, count))
    for read, row in zip(read_greedily(outputs, meaning.blank), labels, strict=True):
        wanted = row[row >= 0]
        if len(read) == len(wanted):
            np.add.at(seen, (wanted, read), 1)
    seen[meaning.blank, meaning.blank] = seen.sum() + 1
    seen += 0.5 * np.eye(count)  # what nobody saw stays where it is
    from scipy.optimize import linear_sum_assignment

    _, assigned = linear_sum_assignment(-seen)
    read_as = np.asarray(assigned, np.int64)
    return None if (read_as == np.arange(count)).all() else read_as


def reordered(alphabet: tuple[str, ...], read_as: NDArray[np.int64]) -> list[str]:
    """Return the characters in the order in which they are read."""
    classes = [""] * len(alphabet)
    for written, read in enumerate(read_as):
        classes[int(read)] = alphabet[written]
    return classes
