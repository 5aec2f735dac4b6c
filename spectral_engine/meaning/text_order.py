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
    for found, row in zip(read_greedily(outputs, meaning.blank), labels, strict=True):
        wanted = row[row >= 0]
        if len(found) == len(wanted):
            np.add.at(seen, (wanted, found), 1)
    seen[meaning.blank, meaning.blank] = seen.sum() + 1
    seen += 0.5 * np.eye(count)  # what nobody saw stays where it is
    from scipy.optimize import linear_sum_assignment

    _, places = linear_sum_assignment(-seen)
    found_places = np.asarray(places, np.int64)
    return None if (found_places == np.arange(count)).all() else found_places


def reordered(alphabet: tuple[str, ...], places: NDArray[np.int64]) -> list[str]:
    """Return the characters in the order in which they are read."""
    classes = [""] * len(alphabet)
    for own, place in enumerate(places):
        classes[int(place)] = alphabet[own]
    return classes
