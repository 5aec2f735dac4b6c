"""Which layout of a detector's output and which form of box labels go together: those under which AP is highest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.boxes import BoxForm, of_crowds
from spectral_engine.errors import DatasetMismatch
from spectral_engine.meaning.box_sources import Source, box_sources
from spectral_engine.meaning.boxes import (
    BoxAnswers,
    BoxLabels,
    image_size,
    is_box,
    is_crowd,
    possible_forms,
    taken_apart,
)
from spectral_engine.meaning.chance import skill_above_chance
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.probe import Probe
from spectral_engine.meaning.trial import Told, Trial
from spectral_engine.measure.boxes import Layout as Where
from spectral_engine.measure.boxes import decode, fits
from spectral_engine.measure.metrics import metric_rule

Array = NDArray[Any]
FEW_IMAGES = 48  # on which layouts and forms are told apart
MOST_TOLD = 8  # other readings in the report
MOST_CLASSES = 10_000  # where nothing tells how many there are
CLEARLY_BETTER = 0.02  # of AP50, before what is less usual wins


@dataclass(frozen=True)
class Classes:
    """Class numbers of the file [m], sorted, with the model's own, and how that is known."""

    known: tuple[int, ...]
    in_model: tuple[int, ...]
    how: str


def are_boxes(labels: Array) -> bool:
    """Say whether labels have the shape of boxes [n, boxes, 5]."""
    return labels.ndim == 3 and labels.shape[-1] == 5 and labels.dtype.kind in "fiu"


def box_trials(probe: Probe, labels: Array, told: Told) -> list[Trial]:
    """Return the best reading of the labels as boxes, where there is one; `labels` are those of all parts.

    Raises DatasetMismatch where classes that were given do not fit.
    """
    size = image_size(probe.rows)
    if not are_boxes(labels) or size is None:
        return []
    form = told.written.boxes
    forms = [form] if form else [*possible_forms(labels, size, told.option.boxes)]
    assert probe.rows.labels is not None
    few = _rows_with_boxes(probe.rows.labels, forms)
    raw = probe.rows.labels[few]
    scored = [
        tried
        for source in box_sources(probe, few, told.option.output)
        for tried in _combined(source, raw, labels, forms, size, told)
    ]
    if not scored:
        return []
    most = max(score for _, score in scored)
    meaning = next(meaning for meaning, score in scored if score >= most - CLEARLY_BETTER)
    others = [
        (f"{m.reading} of {m.output!r}", f"AP50 {score:.3f}")
        for m, score in scored
        if m is not meaning
    ]
    return [_weighed(replace(meaning, tried=tuple(others[:MOST_TOLD])), probe)]


def _weighed(meaning: Meaning, probe: Probe) -> Trial:
    assert probe.rows.labels is not None
    truth = meaning.labels(probe.rows.labels)
    skill = skill_above_chance(meaning, meaning.raw(probe.answers), truth)
    said = f"read as {meaning.reading}: the original reaches {skill.said}"
    return Trial(replace(meaning, why=(said, *meaning.why), original=skill.said), skill, 1.0)


def _combined(
    source: Source,
    raw: Array,
    labels: Array,
    forms: Sequence[BoxForm],
    size: tuple[int, int],
    told: Told,
) -> Iterator[tuple[Meaning, float]]:
    """Yield every layout with every form and order of classes, and the AP50 of the original on a few images.

    `raw` are the labels of those images, `labels` all.
    """
    rule = metric_rule("map50")
    for where in source.layouts:
        if not fits(source.answers, where):
            continue
        count = class_count(source.answers, where)
        boxes = decode(source.answers, where, size)
        for form in forms:
            for classes in possible_classes(labels, form, count, told):
                coding = BoxLabels(
                    form, size, classes.known, classes.in_model, crowds=told.written.crowds
                )
                score = rule.value(rule.rows(boxes, coding.read(raw, (), "y"), "values"))
                names = _names(classes, count, told)
                yield (
                    _meaning(source, where, coding, classes.how, names),
                    0.0 if np.isnan(score) else score,
                )


def _rows_with_boxes(labels: Array, forms: Sequence[BoxForm]) -> NDArray[np.int64]:
    if not forms:
        return np.empty(0, np.int64)
    there = is_box(*taken_apart(labels, forms[0])).any(axis=1)
    return np.flatnonzero(there)[:FEW_IMAGES]


def class_count(answers: Array, where: Where) -> int | None:
    """Return how many classes a layout tells apart; None where the output lists them by number."""
    if where.listed:
        return None
    width = answers.shape[1] if where.transposed else answers.shape[2]
    return int(width) - 4 - where.objectness - (where.background != "none")


def possible_classes(
    labels: Array, form: BoxForm, count: int | None, told: Told
) -> Iterator[Classes]:
    """Yield what the file's class numbers may be in the model: said, by name, the same, one less, or by rank."""
    boxes, kinds = taken_apart(labels, form)
    if told.written.crowds:
        kinds = np.where(is_crowd(boxes, kinds), of_crowds(kinds), kinds)
    values = tuple(int(v) for v in np.unique(kinds[is_box(boxes, kinds)]))
    most = MOST_CLASSES if count is None else count
    if told.option.classes is not None:
        yield _given_classes(values, told.option.classes, count, told)
        return
    if not values:
        return
    if by_name := _by_name(values, count, told):
        yield by_name
        return
    if values[-1] < most:
        yield Classes(values, values, "numbers")
    if values[0] >= 1 and values[-1] - 1 < most:
        yield Classes(values, tuple(v - 1 for v in values), "numbers from 1")
    yield from _by_number(values, most, told)
    if count is None:
        yield Classes(values, tuple(v + 1 for v in values), "numbers from 0")
    if len(values) == count and values[-1] >= most:
        yield Classes(values, tuple(range(len(values))), "sorted")


def _by_number(values: tuple[int, ...], most: int, told: Told) -> Iterator[Classes]:
    """Yield the numbers that classes have in the file, and one less, where there are gaps between them."""
    numbers = told.written.class_numbers
    if numbers is None or numbers == tuple(range(len(numbers))):
        return
    written_numbers = tuple(numbers[v] for v in values)
    for first, how in ((0, "numbers in the file"), (1, "numbers in the file, from 1")):
        if written_numbers[0] >= first and written_numbers[-1] - first < most:
            yield Classes(values, tuple(number - first for number in written_numbers), how)


def _by_name(values: tuple[int, ...], count: int | None, told: Told) -> Classes | None:
    """Place the file's classes by their names among the model's, where all are there."""
    model_names, names = told.names_of(count), told.written.class_names
    if model_names is None or names is None:
        return None
    positions = [model_names.index(name) if name in model_names else -1 for name in names]
    if any(v >= len(positions) or positions[v] < 0 for v in values):
        return None
    return Classes(values, tuple(positions[v] for v in values), "model")


def _given_classes(
    values: tuple[int, ...], given: Sequence[Any], count: int | None, told: Told
) -> Classes:
    positions = {str(name): position for position, name in enumerate(given)}
    names = told.written.class_names
    called = [names[v] if names and v < len(names) else str(v) for v in values]
    missing = next((name for name in called if name not in positions), None)
    if missing is not None:
        raise DatasetMismatch(
            f"boxes have the class {missing!r}, and labels.classes does not name it",
            pointer="#/labels/classes",
        )
    if count is not None and len(given) > count:
        raise DatasetMismatch(
            f"labels.classes names {len(given)} classes, and the model answers {count}",
            pointer="#/labels/classes",
        )
    return Classes(values, tuple(positions[name] for name in called), "given")


def _names(classes: Classes, count: int | None, told: Told) -> tuple[str, ...] | None:
    if told.option.classes is not None:
        return tuple(map(str, told.option.classes))
    model_names, names = told.names_of(count), told.written.class_names
    if model_names is not None or names is None:
        return model_names
    if classes.how == "numbers":
        return names
    called = dict(zip(classes.in_model, classes.known, strict=True))
    return tuple(
        names[called[k]] if k in called and called[k] < len(names) else str(k)
        for k in range(max(classes.in_model) + 1)
    )


def _meaning(
    source: Source, where: Where, coding: BoxLabels, how: str, names: tuple[str, ...] | None
) -> Meaning:
    shape, size = source.answers.shape[1:], coding.image_size
    layout = BoxAnswers("boxes", shape, where=where, image_size=size)
    return Meaning(
        "detection",
        source.name,
        layout,
        coding,
        names,
        how,
        reading=f"boxes ({coding.form.describe()}) beside answers laid out as {where.describe()}",
        why=("boxes judge, by average precision; the original's own answers are what is trained",),
        join=source.join,
    )
