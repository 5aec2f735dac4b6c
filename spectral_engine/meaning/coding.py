"""From the labels that a file holds to those that a metric counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
Gaps = Literal["none", "padding", "few", "many"]  # how the places lie that name no class
NOT_COUNTED = -1
SMALL_SHARE = 1e-6
MOST_MIXED = 0.9
MOST_EMPTY = 0.1  # of the places may name no class, where the rest name one


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
                f"{field!r} holds {shown(self.name(value))} in row {row}, which is none of the classes "
                f"{', '.join(shown(self.name(v)) for v in self.known[:20])}",
                pointer=f"#/{field}/{row}",
            )
        return np.asarray(self.classes[at].reshape(len(labels), *places))

    def name(self, value: Any) -> Any:
        """Return a label value as `labels.classes` takes it."""
        return value.item()


@dataclass(frozen=True)
class OneHot:
    """Labels with one entry for each class along `axis`, counted with the rows' one.

    The class is the entry that is `high`, and a place without any is not counted; or the largest share, where entries
    are shares of classes.
    """

    axis: int
    high: Any = None  # None for shares
    empty: int = 0  # places without any, which are not counted
    gaps: Gaps = "none"
    dense: bool = False  # of shares: most rows give several classes some, as compositions do
    order: tuple[int, ...] | None = None  # column of the labels -> class of the answers

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return class numbers [n, places…], −1 where a label is not counted."""
        del field
        hot = labels if self.high is None else labels == self.high
        columns = np.asarray(hot.argmax(axis=self.axis), np.int64)
        if self.order is not None:
            columns = np.asarray(self.order, np.int64)[columns]
        if self.high is not None:
            columns = np.where(hot.any(axis=self.axis), columns, NOT_COUNTED)
        return columns.reshape(len(labels), *places)

    @property
    def said(self) -> str:
        """How the labels are read, in a sentence."""
        if self.high is None:
            return "shares of classes that sum to 1: the largest is the class"
        start = f"one {shown(self.high)} in every row: its column is the class"
        return start + (f"; {self.empty:,} without one are not counted" if self.empty else "")


def one_hots(labels: Array, ignore: Any = NOT_COUNTED) -> tuple[OneHot, ...]:
    """Return the axes of raw labels [n, …] along which a place names one class at most, or gives shares of classes.

    Places all of whose entries are `ignore` name none.
    """
    axes = [axis for axis in range(1, labels.ndim) if labels.shape[axis] > 1]
    codings = (_one_hot(labels, axis, ignore) or _shares(labels, axis) for axis in axes)
    return tuple(coding for coding in codings if coding is not None)


def _one_hot(labels: Array, axis: int, ignore: Any) -> OneHot | None:
    """Accept two values of which the higher never stands twice in a place."""
    values = np.unique(labels)
    if len(values) == 3 and (values == ignore).any():
        left_out = (labels == ignore).all(axis=axis, keepdims=True)
        values = np.unique(labels[~np.broadcast_to(left_out, labels.shape)])
    if len(values) != 2:
        return None
    count = (labels == values[-1]).sum(axis=axis)  # [n, places…]
    if (count > 1).any() or not count.any():
        return None
    empty = count == 0
    return OneHot(axis, values[-1].item(), int(empty.sum()), _gaps(empty))


def _gaps(empty: NDArray[np.bool_]) -> Gaps:
    """Say how places without a class [n, places…] lie: behind or before all others of a row they are padding."""
    if not empty.any():
        return "none"
    if empty.ndim == 2 and not empty.all(axis=1).any():
        steps = np.diff(empty.astype(np.int8), axis=1)
        if (steps >= 0).all() or (steps <= 0).all():
            return "padding"
    return "few" if empty.mean() <= MOST_EMPTY else "many"


def _shares(labels: Array, axis: int) -> OneHot | None:
    if labels.dtype.kind != "f" or not (labels >= 0).all():
        return None
    if not np.allclose(labels.sum(axis=axis), 1.0, atol=1e-3):
        return None
    least = labels.min(axis=axis, keepdims=True)
    several = (labels > least + SMALL_SHARE).sum(axis=axis)  # classes with more than the rest
    mixed = labels.shape[axis] > 3 and (several <= 2).mean() >= MOST_MIXED  # of two rows' labels
    return OneHot(axis, dense=not mixed and (several > 1).mean() > 1 / 2)


@dataclass(frozen=True)
class YesOrNo:
    """Labels of two values in each column, of which `yes` is the one that means it."""

    yes: Any
    ignore: Any = None

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return 0 and 1 [n, places…], −1 where a label is not counted."""
        del field
        decisions = np.asarray(labels == self.yes, np.int64)
        if self.ignore is not None:
            decisions = np.where(labels == self.ignore, NOT_COUNTED, decisions)
        return decisions.reshape(len(labels), *places)


@dataclass(frozen=True)
class Numbers:
    """Labels that are numbers."""

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return numbers [n, places…]."""
        del field
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
