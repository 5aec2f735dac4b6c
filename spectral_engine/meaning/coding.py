"""From the labels that a file holds to those that a metric counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
NOT_COUNTED = -1


@dataclass(frozen=True)
class Values:
    """Labels by value: each value of `known` [m], sorted, stands for the class in `classes` [m]."""

    known: Array
    classes: NDArray[np.int64]

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return class numbers [n, places…], −1 where a label is not counted."""
        flat = labels.reshape(-1)
        at = np.searchsorted(self.known, flat).clip(0, len(self.known) - 1)
        strange = self.known[at] != flat
        if strange.any():
            row = int(np.flatnonzero(strange)[0]) // max(1, labels[:1].size)
            value = flat[np.flatnonzero(strange)[0]]
            raise DatasetMismatch(
                f"{field!r} holds {shown(value)} in row {row}, which is none of the classes "
                f"{', '.join(shown(v) for v in self.known[:20])}",
                pointer=f"#/{field}/{row}",
            )
        return np.asarray(self.classes[at].reshape(len(labels), *places))


@dataclass(frozen=True)
class OneHot:
    """Labels with one entry for each class along `axis`, counted with the rows' one: the highest is the class."""

    axis: int
    order: tuple[int, ...] | None = None  # column of the labels -> class of the answers

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return class numbers [n, places…]."""
        del field
        columns = np.asarray(labels.argmax(axis=self.axis), np.int64)
        if self.order is not None:
            columns = np.asarray(self.order, np.int64)[columns]
        return columns.reshape(len(labels), *places)


@dataclass(frozen=True)
class Numbers:
    """Labels that are numbers, or 0 and 1 for each column."""

    dtype: Literal["float32", "int64"] = "float32"

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return numbers [n, places…]."""
        del field
        if self.dtype == "int64":
            return (labels.astype(np.float64) > 0).astype(np.int64).reshape(len(labels), *places)
        return labels.astype(np.float32).reshape(len(labels), *places)


class Coding(Protocol):
    """How the labels of a file become those that a metric counts."""

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return canonical labels [n, …]; raises DatasetMismatch for one that is none."""
        ...


def shown(value: Any) -> str:
    """Write one value as a person would."""
    if isinstance(value, str | np.str_):
        return repr(str(value))
    return f"{float(value):g}" if isinstance(value, float | np.floating) else str(value)


def is_numeric(labels: Array) -> bool:
    """Say whether labels are numbers or booleans."""
    return labels.dtype.kind in "fiub"


def are_whole(values: Array) -> bool:
    """Say whether all values are whole numbers."""
    return is_numeric(values) and bool(np.array_equal(values, np.round(values.astype(np.float64))))
