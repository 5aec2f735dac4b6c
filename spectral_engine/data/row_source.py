"""Rows that are read by number when they are asked for: what a data set is to all that looks at it batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
RowNumbers = NDArray[np.int64]
BY_INDEX_BYTES = 2**28  # what is smaller is held in memory
IN_BLOCKS_BYTES = (
    2**31
)  # what is larger may not stay in the cache of the system: neighbours are read together
CHUNK_BYTES = 2**25


class RowSource(Protocol):
    """Rows [n, …], each of the same shape; an array in memory is a source as it stands."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of rows, and the shape of one."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers that are read."""
        ...

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def __getitem__(self, rows: slice | RowNumbers, /) -> Array:
        """Read these rows into an array."""
        ...


@dataclass(frozen=True, eq=False)
class MappedRows:
    """Rows of an array that is never copied as a whole, fitted to the model batch by batch."""

    array: Array
    fitted: Callable[[Array], Array]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def __getitem__(self, rows: slice | RowNumbers, /) -> Array:
        """Read these rows and fit them."""
        return self.fitted(np.asarray(self.array[rows]))


@dataclass(frozen=True, eq=False)
class ChosenRows:
    """Some rows of a source, by a list of their numbers."""

    source: RowSource
    numbers: RowNumbers

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of chosen rows, and the shape of one."""
        return (len(self.numbers), *self.source.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the source's numbers."""
        return self.source.dtype

    def __len__(self) -> int:
        """Return the number of chosen rows."""
        return len(self.numbers)

    def __getitem__(self, rows: slice | RowNumbers, /) -> Array:
        """Read these of the chosen rows."""
        return self.source[self.numbers[rows]]


def bytes_of(source: RowSource) -> int:
    """Return what all rows would take in memory."""
    return int(np.prod(source.shape, dtype=object)) * source.dtype.itemsize


def is_large(size: int) -> bool:
    """Say whether rows of so many bytes are read by their numbers, rather than held in memory."""
    return size > BY_INDEX_BYTES


def by_index(array: Array) -> RowSource:
    """Return a small array as it is, and the rows of a large one by number."""
    if not is_large(bytes_of(array)):
        return array
    return MappedRows(array, lambda rows: rows, array.shape, array.dtype)


def chosen(source: RowSource, numbers: RowNumbers) -> RowSource:
    """Return these rows: of an array in memory a copy, of any other source a list of numbers."""
    if isinstance(source, np.ndarray):
        return np.asarray(source[numbers])
    if isinstance(source, ChosenRows):
        return ChosenRows(source.source, source.numbers[numbers])
    return ChosenRows(source, numbers)


def in_chunks(source: RowSource, most_rows: int) -> Iterator[tuple[int, Array]]:
    """Yield all rows in their order, so many at most and few megabytes at once, with the number of the first."""
    row_bytes = max(1, bytes_of(source) // max(1, len(source)))
    step = min(most_rows, max(1, CHUNK_BYTES // row_bytes))
    for start in range(0, len(source), step):
        yield start, source[start : start + step]
