"""The order of class labels: said by the user, by the labels themselves, by the model, or matched with its answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch
from spectral_engine.meaning import order as orders
from spectral_engine.meaning import skill as knows
from spectral_engine.meaning.coding import NOT_COUNTED, Coding, Values, is_numeric, shown
from spectral_engine.meaning.order import Match, Order
from spectral_engine.meaning.readings import Reading
from spectral_engine.records.labels import LabelsOption

Array = NDArray[Any]
AS_GOOD = 0.02  # of skill: an order that needs no matching may be so much behind the matched one
SAID = {
    "numbers": "labels are class numbers",
    "given": "classes in the order that labels.classes gives",
    "model": "classes in the order that the model file names them",
    "sorted": "label values, sorted, are the classes in order",
    "matched": "label values were matched with the classes by the original's answers on training rows",
}


@dataclass(frozen=True)
class Naming:
    """What is known of class labels besides the answers: their values, what is asked for, the model's own names."""

    values: Array
    ignore: Any
    option: LabelsOption
    in_model: Sequence[Sequence[str]]  # lists of class names that the file holds

    def names_of(self, count: int) -> Sequence[str] | None:
        """Return the file's names for so many classes, where there are any."""
        return next((names for names in self.in_model if len(names) == count), None)


@dataclass(frozen=True)
class Named:
    """A coding of class labels, with the names of the model's classes and how their order is known."""

    coding: Coding
    names: tuple[str, ...] | None
    how: str
    why: tuple[str, ...] = ()


def name_classes(reading: Reading, answers: Array, labels: Array, naming: Naming) -> Named | None:
    """Return which class each label value is, None where there are more values than classes.

    Raises DatasetMismatch at `#/labels/…` where an order that was asked for does not fit.
    """
    count = reading.layout.classes
    if reading.one_hot is not None:
        return Named(
            reading.one_hot,
            _model_names(naming, count),
            "columns",
            (reading.one_hot.said,),
        )
    values = _counted_values(naming)
    if len(values) > count or len(values) < 2:
        return None
    predicted = reading.layout.predicted(answers)
    positions = _positions(values, labels, reading)
    chosen = _order(values, positions, predicted, count, naming)
    if chosen is None:
        return None
    return Named(
        _coding(values, chosen, naming),
        _names(values, chosen, naming, count),
        chosen.how,
        (SAID[chosen.how],),
    )


def _counted_values(naming: Naming) -> Array:
    if naming.ignore is None:
        return naming.values
    return naming.values[
        [orders.written(v) != orders.written(naming.ignore) for v in naming.values]
    ]


def _positions(values: Array, labels: Array, reading: Reading) -> NDArray[np.int64]:
    """Return each label as the position of its value [n, places…], −1 for what is not counted."""
    flat = labels.reshape(-1)
    at = np.searchsorted(values, flat).clip(0, len(values) - 1)
    positions = np.where(values[at] == flat, at, NOT_COUNTED)
    return positions.reshape(len(labels), *reading.layout.places)


def _order(
    values: Array, positions: NDArray[np.int64], predicted: Array, count: int, naming: Naming
) -> Order | None:
    option = naming.option
    if option.classes is not None:
        return orders.by_given(values, option.classes, count)
    model_names = naming.names_of(count)
    named = None if model_names is None else orders.by_names(values, model_names, "model")
    asked = option.order if isinstance(option.order, str) else "auto"
    if asked == "model" and named is None:
        raise _refused("model", "the model file does not name its classes so")
    if named is not None and (asked == "model" or (asked == "auto" and not is_numeric(values))):
        return named
    if asked == "sorted":
        return orders.by_sorting(values, count)
    match = match_values(values, positions, predicted, count)
    if asked == "matched" and not match.is_clear:
        raise _refused("matched", "no assignment stands far above the rest")
    if asked == "matched":
        return match.order
    plain = [*_plain_orders(values, count), *([named] if named is not None else [])]
    return _best_order(plain, match, positions, predicted) if plain else None


def _refused(order: str, why: str) -> DatasetMismatch:
    return DatasetMismatch(
        f"labels.order is {order!r}, and {why}: give labels.classes", pointer="#/labels/order"
    )


def _plain_orders(values: Array, count: int) -> Iterator[Order]:
    """Yield the orders that need no matching, the usual one first."""
    for order in (orders.by_number(values, count), orders.by_sorting(values, count)):
        if order is not None:
            yield order


def match_values(
    values: Array, positions: NDArray[np.int64], predicted: Array, count: int
) -> Match:
    """Match label values with classes by what the original answers."""
    return orders.by_matching(orders.count_answers(positions, predicted, len(values), count))


def _best_order(
    plain: Sequence[Order], match: Match, positions: NDArray[np.int64], predicted: Array
) -> Order:
    """Take the first plain order that is as good as any; names and odd numbers may be matched, class numbers not."""
    skills = [skill_of(order, positions, predicted) for order in plain]
    matched = skill_of(match.order, positions, predicted)
    may_match = match.is_clear and matched.beats_chance and plain[0].how != "numbers"
    most = max([*(s.value for s in skills), *([matched.value] if may_match else [])])
    for order, skill in zip(plain, skills, strict=True):
        if skill.value >= most - AS_GOOD:
            return order
    return match.order


def skill_of(order: Order, positions: NDArray[np.int64], predicted: Array) -> knows.Skill:
    """Return what the original knows when label values stand for classes in this order."""
    labels = np.where(positions >= 0, order.classes[positions.clip(0)], NOT_COUNTED)
    return knows.of_classes(predicted, labels)


def _coding(values: Array, order: Order, naming: Naming) -> Values:
    known, classes = values, order.classes
    if naming.ignore is not None:
        ignored = naming.values[~np.isin(naming.values, values)]
        known = np.concatenate([values, ignored])
        classes = np.concatenate([classes, np.full(len(ignored), NOT_COUNTED)])
    sorting = np.argsort(known, kind="stable")
    return Values(known[sorting], classes[sorting].astype(np.int64))


def _names(values: Array, order: Order, naming: Naming, count: int) -> tuple[str, ...] | None:
    """Return the name of each class; None where the labels are the numbers themselves and nothing names them."""
    model_names = _model_names(naming, count)
    if order.how == "numbers":
        return model_names
    names = [f"output {index}" for index in range(count)] if model_names is None else [*model_names]
    for value, class_index in zip(values, order.classes, strict=True):
        if class_index >= 0:
            names[class_index] = (
                shown(value).strip("'\"") if isinstance(value, str) else shown(value)
            )
    return tuple(names)


def _model_names(naming: Naming, count: int) -> tuple[str, ...] | None:
    names = naming.names_of(count)
    return None if names is None else tuple(names)
