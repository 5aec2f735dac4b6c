"""Which label value stands for which of the model's classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch
from spectral_engine.meaning.coding import are_whole, shown

Array = NDArray[Any]
Places = NDArray[np.int64]
SURE = 3.0  # standard errors between the best assignment and any that swaps two of its classes


@dataclass(frozen=True)
class Order:
    """`classes` [m] holds the class of each label value, in the values' own sorted order."""

    classes: Places
    how: str  # "numbers", "given", "model", "sorted", "matched"


def by_number(values: Array, count: int) -> Order | None:
    """Take labels 0 … count − 1 as class numbers."""
    if not are_whole(values) or values.min() < 0 or values.max() >= count:
        return None
    return Order(values.astype(np.int64), "numbers")


def by_sorting(values: Array, count: int) -> Order | None:
    """Take the values, sorted, as the classes from 0 on; digits in texts are sorted as numbers."""
    if len(values) > count or _are_numbers_with_a_stray(values, count):
        return None
    if values.dtype.kind in "US" and all(_is_number(value) for value in values):
        ranks = np.argsort(np.argsort([float(value) for value in values], kind="stable"))
        return Order(ranks.astype(np.int64), "sorted")
    return Order(np.arange(len(values), dtype=np.int64), "sorted")


def _are_numbers_with_a_stray(values: Array, count: int) -> bool:
    """Say whether these are class numbers from 0 on, but for some that the model has no class for."""
    if not are_whole(values) or values.min() != 0 or values.max() < count:
        return False
    return 2 * int((values < count).sum()) > len(values)


def by_names(values: Array, names: Sequence[Any], how: str) -> Order | None:
    """Find each value among the names of the classes, as written or as numbers; None where one is missing."""
    index_of = {written(name): index for index, name in enumerate(names)}
    classes = [index_of.get(written(value)) for value in values]
    if any(index is None for index in classes):
        return None
    return Order(np.array(classes, dtype=np.int64), how)


def by_given(values: Array, names: Sequence[Any], count: int) -> Order:
    """Take the order that the user gives. Raises DatasetMismatch where it does not fit labels and model."""
    if len(names) != count:
        raise DatasetMismatch(
            f"labels.classes names {len(names)} classes, and the model tells {count} apart",
            pointer="#/labels/classes",
        )
    order = by_names(values, names, "given")
    if order is None:
        known = {written(name) for name in names}
        missing = next(value for value in values if written(value) not in known)
        raise DatasetMismatch(
            f"the labels hold {shown(missing)}, which labels.classes does not name",
            pointer="#/labels/classes",
        )
    return order


@dataclass(frozen=True)
class Match:
    """The assignment of label values to classes under which most answers are right."""

    order: Order
    is_clear: bool  # far above every assignment that swaps two values, or moves one


def by_matching(counts: NDArray[np.int64]) -> Match:
    """Match values with classes by `counts` [m, k], how often each value was answered with each class.

    The Hungarian method (Kuhn, Naval Res. Logist. Q. 2, 1955) on rows that are trained on.
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-counts)
    classes = np.full(len(counts), -1, dtype=np.int64)
    classes[rows] = columns
    return Match(
        Order(classes, "matched"), bool((classes >= 0).all()) and _is_clear(counts, classes)
    )


def count_answers(
    positions: Places, predicted: Array, values: int, classes: int
) -> NDArray[np.int64]:
    """Return how often each label value [m] was answered with each class [k]; −1 is not counted."""
    flat, answers = positions.reshape(-1), predicted.reshape(-1)
    kept = flat >= 0
    joined = flat[kept] * classes + answers[kept]
    return np.bincount(joined, minlength=values * classes).reshape(values, classes)


def _is_clear(counts: NDArray[np.int64], classes: Places) -> bool:
    """Say whether each swap of two values, and each move to a free class, would lose clearly more than noise."""
    values = np.arange(len(counts))
    agreeing = counts[values, classes]  # [m]
    for value in values:
        others = values[values != value]
        swapped = counts[value, classes[others]] + counts[others, classes[value]]
        kept = agreeing[value] + agreeing[others]
        if (kept - swapped < SURE * np.sqrt(kept + swapped)).any():
            return False
        free = np.setdiff1d(np.arange(counts.shape[1]), classes)
        moved = counts[value, free]
        if any(agreeing[value] - there < SURE * sqrt(agreeing[value] + there) for there in moved):
            return False
    return True


def written(value: Any) -> str:
    """Return a value as it is compared with a name: 1, 1.0 and "1" are the same, True is 1."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    text = str(value).strip()
    if _is_number(text) and float(text) == int(float(text)):
        return str(int(float(text)))
    return text


def _is_number(value: Any) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except ValueError:
        return False
