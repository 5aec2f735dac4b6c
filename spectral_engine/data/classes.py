"""Where a model's answers hold their classes."""

from __future__ import annotations

from collections.abc import Sequence


def class_axis(outputs: Sequence[int], labels: Sequence[int] | None = None) -> int:
    """Return the axis of the classes in answers of this shape, rows first.

    Labels tell by their own shape. Without them: behind the rows for tables [rows, classes] and images
    [rows, classes, height, width], last for sequences [rows, steps, classes].

    >>> class_axis((8, 5)), class_axis((8, 6, 11)), class_axis((8, 3, 32, 32)), class_axis((8, 3, 40), (8, 40))
    (1, 2, 1, 1)
    """
    last = len(outputs) - 1
    if labels is not None and len(labels) == last:
        if tuple(labels) == tuple(outputs[:-1]):
            return last
        if tuple(labels) == (outputs[0], *outputs[2:]):
            return 1
    return last if last == 2 else 1
