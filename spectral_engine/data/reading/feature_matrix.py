"""The feature columns of a table as one array: in memory, or on disk where that is large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.reading import columns
from spectral_engine.data.row_source import CHUNK_BYTES, is_large
from spectral_engine.data.scratch import mapped_array, refuse_full_disk

Array = NDArray[Any]
FLOAT = np.dtype(np.float32)


def feature_matrix(table: Any, names: Sequence[str], notes: list[str]) -> Array:
    """Return columns as float32 [rows, columns]; raises DatasetMismatch by column and row for what is no number."""
    size = table.num_rows * len(names) * FLOAT.itemsize
    if not is_large(size):
        return np.stack([columns.numbers(table.column(one), one, notes) for one in names], axis=1)
    refuse_full_disk(size, "the numbers of the table")
    return _on_disk(table, names, notes)


def _on_disk(table: Any, names: Sequence[str], notes: list[str]) -> Array:
    matrix = mapped_array((table.num_rows, len(names)), FLOAT)
    numeric = []
    for index, name in enumerate(names):
        column = table.column(name)
        columns.refuse_missing(column, name)
        if columns.is_text(column.type):  # all rows together tell how numbers are written
            matrix[:, index] = columns.numbers(column, name, notes)
        else:
            numeric.append(index)
    step = max(1, CHUNK_BYTES // (len(names) * FLOAT.itemsize))
    for start in range(0, table.num_rows, step):
        rows = table.slice(start, step)
        for index in numeric:
            name = names[index]
            values = columns.numbers(rows.column(name), name, notes)
            matrix[start : start + step, index] = values
    return matrix
