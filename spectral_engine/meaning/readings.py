"""The ways to understand labels that their shape and values leave open, the likeliest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.meaning.coding import NOT_COUNTED, OneHot, are_whole, is_numeric, one_hots
from spectral_engine.meaning.layout import Layout, class_axes, form_of, squeezed, sum_to_one
from spectral_engine.meaning.odd import odd_values
from spectral_engine.meaning.order import written
from spectral_engine.meaning.probe import Output
from spectral_engine.records.labels import Task

Array = NDArray[Any]
USUAL_IGNORED = (-1, -100, 255)
USUAL_PAIRS = {(0.0, 1.0), (1.0, 2.0), (0.0, 255.0)}
MOST_CLASSES_IN_FLOATS = 1000


@dataclass(frozen=True)
class LabelFacts:
    """What the labels of all parts together are: values [m] sorted, shape of a row, axes with one class a place.

    `pair` are the values that mean no and yes, where just two are counted beside `ignore`.
    """

    row_shape: tuple[int, ...]
    values: Array
    one_hots: tuple[OneHot, ...]
    numeric: bool
    whole: bool
    pair: tuple[Any, Any] | None
    ignore: Any = None  # value that is not counted: said, or beside a pair a usual one

    @property
    def two_valued(self) -> bool:
        """True for labels that are one thing or the other."""
        return len(self.values) == 2

    @property
    def are_rather_numbers(self) -> bool:
        """True for shares of several classes, and columns of two numbers that are not usual for no and yes."""
        if any(hot.dense for hot in self.one_hots):
            return True
        table = self.numeric and self.two_valued and prod(self.row_shape) > 1
        return table and tuple(map(float, self.values)) not in {*USUAL_PAIRS, (-1.0, 1.0)}


def facts_of(labels: Array, ignore: Any = None, classes: Sequence[Any] = ()) -> LabelFacts:
    """Look at raw labels [n, …]; `ignore` is said not to be counted, and `classes` are said to be."""
    values = np.unique(labels)
    whole = are_whole(values)
    if ignore is not None:
        ignored = _stands_as(ignore, values)
    else:
        ignored = _beside_a_pair(values) if prod(labels.shape[1:]) > 1 else None
        ignored = None if written(ignored) in {*map(written, classes)} else ignored
    counted = values if ignored is None else values[values != ignored]
    pair = (counted[0].item(), counted[1].item()) if len(counted) == 2 else None
    hots = one_hots(labels, NOT_COUNTED if ignore is None else ignored)
    return LabelFacts(labels.shape[1:], values, hots, is_numeric(labels), whole, pair, ignored)


def _stands_as(ignore: Any, values: Array) -> Any:
    """Return the label value that is meant; None where no label has it."""
    return next((value.item() for value in values if written(value) == written(ignore)), None)


def _beside_a_pair(values: Array) -> Any:
    """Return the one of three values that is usual for "not counted", where the others are usual for no and yes."""
    if len(values) != 3 or not are_whole(values):
        return None
    for ignored in USUAL_IGNORED:
        if tuple(float(value) for value in values if value != ignored) in USUAL_PAIRS:
            return float(ignored)
    return None


@dataclass(frozen=True)
class Reading:
    """One way to understand the labels beside one output's answers.

    Class labels have no coding yet: the order of their values is a question of its own.
    """

    output: str
    task: Task
    layout: Layout
    one_hot: OneHot | None = None
    ignore: Any = None
    odd: bool = False  # whether `ignore` is one of several values that may be left out

    @property
    def name(self) -> str:
        """The reading in a word or two."""
        where = "" if self.layout.kind == "numbers" or not self.layout.places else " per place"
        if self.one_hot is not None:
            return "one-hot classes" + where
        return {"classification": "classes", "binary": "yes or no"}.get(
            self.task, self.task
        ) + where


def possible_readings(output: Output, facts: LabelFacts) -> Iterator[Reading]:
    """Yield every reading that fits the shapes; what is likelier comes first."""
    shape = tuple(output.answers.shape[1:])
    same = squeezed(shape) == squeezed(facts.row_shape) or _is_flat_pair(shape, facts.row_shape)
    numbers = Reading(output.name, "regression", Layout("numbers", shape))
    first = same and facts.numeric and facts.are_rather_numbers
    if first:
        yield numbers
    shared = [
        (axis, hot)
        for axis, hot in _shared_axes(shape, facts)
        if _may_be_one_hot(hot, axis, output)
    ]
    yield from _as_classes(output, facts, shared)
    if same:
        yield from _as_scores(output, facts, shared)
        if facts.numeric and not first and not _of_a_sigmoid(output, facts):
            yield numbers


def _as_classes(
    output: Output, facts: LabelFacts, shared: list[tuple[int, OneHot]]
) -> Iterator[Reading]:
    """Yield the readings in which an axis of the answers carries classes: one-hot labels, then numbers or names."""
    shape = tuple(output.answers.shape[1:])

    def layout(axis: int) -> Layout:
        form = form_of(output.answers, axis, output.squashed_by)
        return Layout("classes", shape, axis, form)

    for ours, hot in shared:
        yield Reading(output.name, "classification", layout(ours), hot)
    for axis in class_axes(shape, facts.row_shape):
        classes = layout(axis)
        ignore = ignored_value(facts.values, classes.classes)
        yield Reading(output.name, "classification", classes, None, ignore)
        if ignore is None:
            yield from _without_odd_one(output.name, "classification", [classes], facts)
        elif len(facts.values) == classes.classes:
            yield Reading(output.name, "classification", classes)


def _as_scores(
    output: Output, facts: LabelFacts, shared: list[tuple[int, OneHot]]
) -> Iterator[Reading]:
    """Yield the readings in which each answer is a score for yes or no."""
    shape = tuple(output.answers.shape[1:])
    several = facts.pair is None and not _is_table(shape)
    if not several and (facts.pair is None or _one_class(output, shared)):
        return
    form = form_of(output.answers, None, output.squashed_by)
    scores = [
        Layout("scores", shape, None, form, threshold) for threshold in _thresholds(form, facts)
    ]
    if several:
        yield from _without_odd_one(output.name, "binary", scores, facts)
        return
    task: Task = "multilabel" if prod(shape) > 1 and _is_table(shape) else "binary"
    for layout in scores:
        yield Reading(output.name, task, layout, None, facts.ignore)


def _without_odd_one(
    output: str, task: Task, layouts: Sequence[Layout], facts: LabelFacts
) -> Iterator[Reading]:
    """Yield readings of places in which one value more than the model has classes is not counted, each in turn."""
    if facts.ignore is not None or not facts.row_shape:
        return
    for odd in odd_values(facts.values, layouts[0].classes):
        for layout in layouts:
            yield Reading(output, task, layout, None, odd, odd=True)


def _of_a_sigmoid(output: Output, facts: LabelFacts) -> bool:
    """Say whether labels of 0 and 1 stand beside probabilities of yes, which are numbers to nobody."""
    return output.squashed_by == "Sigmoid" and facts.pair == (0, 1)


def ignored_value(values: Array, classes: int) -> float | None:
    """Return the one value that is no class, where it is one that data sets use for "not counted"."""
    if not are_whole(values):
        return None
    outside = [float(value) for value in values if not 0 <= value < classes]
    if len(outside) != 1 or len(values) < 3 or len(values) - 1 > classes:
        return None
    return outside[0] if outside[0] in USUAL_IGNORED else None


def _thresholds(form: str, facts: LabelFacts) -> tuple[float, ...]:
    """Return where a score may turn into a yes: nets trained by squared error on 0 and 1 leave [0, 1], but not 0.5."""
    if form == "probabilities":
        return (0.5,)
    middle = float(np.mean(facts.pair)) if facts.pair is not None and facts.numeric else 0.0
    return tuple(dict.fromkeys((0.0, 0.5, middle)))


def _shared_axes(shape: tuple[int, ...], facts: LabelFacts) -> list[tuple[int, OneHot]]:
    """Return where answers and one-hot labels hold their classes: axis of the answers, and the labels' coding."""
    return [
        (ours, hot)
        for ours in class_axes(shape, None)
        for hot in facts.one_hots
        if shape[ours - 1] == facts.row_shape[hot.axis - 1]
        and _places(shape, ours) == _places(facts.row_shape, hot.axis)
    ]


def _may_be_one_hot(hot: OneHot, axis: int, output: Output) -> bool:
    """Say whether columns may exclude one another although some places have none that is high."""
    if hot.gaps == "few" and output.squashed_by == "Sigmoid":
        return (
            False  # each column has a score of its own, and a row without any is one of its answers
        )
    return hot.gaps != "many" or sum_to_one(output.answers, axis, output.squashed_by)


def _one_class(output: Output, shared: list[tuple[int, OneHot]]) -> bool:
    """Say whether columns exclude one another: each place of the labels has one, or answers sum to 1 and most have."""
    return any(
        hot.gaps in {"none", "padding"} or sum_to_one(output.answers, axis, output.squashed_by)
        for axis, hot in shared
    )


def _places(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return squeezed(shape[: axis - 1] + shape[axis:])


def _is_flat_pair(shape: tuple[int, ...], labels: tuple[int, ...]) -> bool:
    """Say whether one of both is the other, written in one axis."""
    one_flat = len(squeezed(shape)) <= 1 or len(squeezed(labels)) <= 1
    return one_flat and prod(shape) == prod(labels)


def _is_table(shape: tuple[int, ...]) -> bool:
    return len(squeezed(shape)) <= 1
