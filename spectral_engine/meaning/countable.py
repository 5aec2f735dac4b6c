"""Whether labels may be answers that are right or wrong: by their values and the shapes of a model's outputs alone.

Asked before the original has answered anything: of how many rows to hold out, where no metric is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spectral_engine.meaning.layout import Array

Shape = tuple[int | None, ...]  # of one row's answers; None where the file leaves a size open
IGNORED = 1  # value beyond the classes, of places that are not counted
ROWS_OF_A_CLASS = 3  # on average: what hardly stands twice is no class
MOST_CLASSES = 1000  # where the file does not say how many the model can tell apart


def countable(labels: Array, outputs: Sequence[Shape]) -> bool:
    """Say whether raw labels [n, …], whole numbers, booleans or texts, may be classes, or yes and no, of an output.

    Whole numbers are classes only where some axis of the answers has one entry for each value and the rest of them is
    laid out as the labels are: boxes and counts are not. Texts are where they stand three times, on average.
    """
    values = len(np.unique(labels))
    if labels.dtype.kind == "U":
        return values * ROWS_OF_A_CLASS <= len(labels)
    row = _squeezed(labels.shape[1:])
    return any(_fits(row, values, len(labels), _squeezed(shape)) for shape in outputs)


def _fits(row: Shape, values: int, rows: int, answers: Shape) -> bool:
    if _alike(row, answers) and values <= 2 + (IGNORED if len(row) > 1 else 0):
        return True
    if values == 2 and len(row) == len(answers) and _same_sizes(row, answers):
        return True  # one-hot, with the classes on another axis
    ignored = IGNORED if row else 0
    return any(
        _alike(row, answers[:axis] + answers[axis + 1 :])
        and values <= _most(answers[axis], rows) + ignored
        for axis in range(len(answers))
    )


def _most(size: int | None, rows: int) -> int:
    return min(MOST_CLASSES, rows // ROWS_OF_A_CLASS) if size is None else size


def _alike(left: Shape, right: Shape) -> bool:
    """Compare sizes one by one; one that is open may be any."""
    pairs = zip(left, right, strict=False)
    return len(left) == len(right) and all(a == b or a is None or b is None for a, b in pairs)


def _same_sizes(left: Shape, right: Shape) -> bool:
    known = None not in left and None not in right
    return known and sorted(map(str, left)) == sorted(map(str, right))


def _squeezed(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)
