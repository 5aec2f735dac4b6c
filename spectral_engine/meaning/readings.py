"""The ways to understand labels that their shape and values leave open, the likeliest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.meaning.coding import OneHot, are_whole, is_numeric
from spectral_engine.meaning.layout import Layout, class_axes, form_of, squeezed
from spectral_engine.meaning.probe import Output
from spectral_engine.records.labels import Task

Array = NDArray[Any]
USUAL_IGNORED = (255, -1, -100)
MOST_CLASSES_IN_FLOATS = 1000


@dataclass(frozen=True)
class LabelFacts:
    """What the labels of all parts together are: values [m] sorted, shape of a row, whether each place has one 1."""

    row_shape: tuple[int, ...]
    values: Array
    one_hot_axes: tuple[int, ...]
    numeric: bool
    whole: bool

    @property
    def two_valued(self) -> bool:
        """True for labels that are one thing or the other."""
        return len(self.values) == 2

    @property
    def bits(self) -> bool:
        """True where each entry says yes or no: 0 and 1, or −1 and 1."""
        return (
            self.numeric
            and len(self.values) <= 2
            and {*map(float, self.values)} <= {-1.0, 0.0, 1.0}
        )


def facts_of(labels: Array) -> LabelFacts:
    """Look at raw labels [n, …]."""
    values = np.unique(labels)
    axes = tuple(
        axis
        for axis in range(1, labels.ndim)
        if labels.shape[axis] > 1 and _is_one_hot(labels, values, axis)
    )
    return LabelFacts(labels.shape[1:], values, axes, is_numeric(labels), are_whole(values))


def _is_one_hot(labels: Array, values: Array, axis: int) -> bool:
    if not is_numeric(labels) or len(values) != 2 or {*map(float, values)} != {0.0, 1.0}:
        return False
    return bool(
        (labels.sum(axis=axis, dtype=np.int64 if labels.dtype == bool else None) == 1).all()
    )


@dataclass(frozen=True)
class Reading:
    """One way to understand the labels beside one output's answers.

    Class labels have no coding yet: the order of their values is a question of its own.
    """

    output: str
    task: Task
    layout: Layout
    one_hot: OneHot | None = None
    ignore: float | None = None

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
    answers = output.answers
    same = squeezed(shape) == squeezed(facts.row_shape) or _is_flat_pair(shape, facts.row_shape)
    several = prod(shape) > 1

    def layout(axis: int | None, kind: Any, threshold: float = 0.0) -> Layout:
        form = "values" if kind == "numbers" else form_of(answers, axis, output.squashed_by)
        return Layout(kind, shape, axis, form, threshold)

    for ours, theirs in _shared_axes(shape, facts):
        hot = OneHot(theirs)
        yield Reading(output.name, "classification", layout(ours, "classes"), hot)
    for axis in class_axes(shape, facts.row_shape):
        ignore = ignored_value(facts.values, shape[axis - 1])
        yield Reading(output.name, "classification", layout(axis, "classes"), None, ignore)
    if not same:
        return
    per_place = several and not _is_table(shape)
    if facts.two_valued and (not several or per_place):
        form = form_of(answers, None, output.squashed_by)
        for threshold in _thresholds(form, facts):
            yield Reading(output.name, "binary", layout(None, "scores", threshold))
    elif per_place and len(facts.values) == 3 and (ignored := _ignored_of_three(facts)) is not None:
        form = form_of(answers, None, output.squashed_by)
        yield Reading(
            output.name,
            "binary",
            layout(None, "scores", _thresholds(form, facts)[0]),
            None,
            ignored,
        )
    if facts.bits and _is_table(shape) and several and not facts.one_hot_axes:
        form = form_of(answers, None, output.squashed_by)
        for threshold in _thresholds(form, facts):
            yield Reading(output.name, "multilabel", layout(None, "scores", threshold))
    if facts.numeric:
        yield Reading(output.name, "regression", layout(None, "numbers"))


def ignored_value(values: Array, classes: int) -> float | None:
    """Return the one value that is no class, where it is one that data sets use for "not counted"."""
    if not are_whole(values):
        return None
    outside = [float(value) for value in values if not 0 <= value < classes]
    if len(outside) != 1 or len(values) < 3 or len(values) - 1 > classes:
        return None
    return outside[0] if outside[0] in USUAL_IGNORED else None


def _ignored_of_three(facts: LabelFacts) -> float | None:
    if not facts.whole:
        return None
    rest = [float(value) for value in facts.values if value not in (0, 1)]
    return rest[0] if len(rest) == 1 and rest[0] in USUAL_IGNORED else None


def _thresholds(form: str, facts: LabelFacts) -> tuple[float, ...]:
    """Return where a score may turn into a yes: nets trained by squared error on 0 and 1 leave [0, 1], but not 0.5."""
    if form == "probabilities":
        return (0.5,)
    middle = float(np.mean([float(v) for v in facts.values])) if facts.numeric else 0.0
    return tuple(dict.fromkeys((0.0, 0.5, middle)))


def _shared_axes(shape: tuple[int, ...], facts: LabelFacts) -> list[tuple[int, int]]:
    """Return where answers and one-hot labels hold their classes: axis of the answers, axis of the labels."""
    return [
        (ours, theirs)
        for ours in class_axes(shape, None)
        for theirs in facts.one_hot_axes
        if shape[ours - 1] == facts.row_shape[theirs - 1]
        and _places(shape, ours) == _places(facts.row_shape, theirs)
    ]


def _places(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return squeezed(shape[: axis - 1] + shape[axis:])


def _is_flat_pair(shape: tuple[int, ...], labels: tuple[int, ...]) -> bool:
    """Say whether one of both is the other, written in one axis."""
    one_flat = len(squeezed(shape)) <= 1 or len(squeezed(labels)) <= 1
    return one_flat and prod(shape) == prod(labels)


def _is_table(shape: tuple[int, ...]) -> bool:
    return len(squeezed(shape)) <= 1
