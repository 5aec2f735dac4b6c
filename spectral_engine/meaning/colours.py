"""Masks of colours [n, h, w, 3] or [n, 3, h, w]: each colour is a class, matched with the original's answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch
from spectral_engine.meaning import skill as knows
from spectral_engine.meaning.classes import Naming, name_classes
from spectral_engine.meaning.coding import Values, are_whole, is_numeric
from spectral_engine.meaning.layout import Layout, class_axes, form_of, squeezed
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.odd import standing_out
from spectral_engine.meaning.order import written
from spectral_engine.meaning.probe import Output, Probe
from spectral_engine.meaning.readings import Reading
from spectral_engine.meaning.trial import Told, Trial
from spectral_engine.records.labels import LabelsOption, Task

Array = NDArray[Any]
CHANNELS = (3, 4)  # a fourth says how much shows, and is not looked at
MOST_NAMED = 8
READING = "colours as classes per place"


@dataclass(frozen=True)
class Colours(Values):
    """Masks by colour: `known` holds colours as numbers 0xRRGGBB; channels lie along `axis`, counted with the rows'."""

    axis: int = -1

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return class numbers [n, places…], −1 where a colour is not counted."""
        return super().read(codes(labels, self.axis), places, field)

    def name(self, value: Any) -> str:
        """Return a colour as `labels.classes` takes it."""
        return as_text(value)


def codes(labels: Array, axis: int) -> NDArray[np.int32]:
    """Return each colour as one number 0xRRGGBB [n, h, w]."""
    red, green, blue = np.moveaxis(labels, axis, 0)[:3]
    packed: NDArray[np.int32] = (
        red.astype(np.int32) << 16 | green.astype(np.int32) << 8 | blue.astype(np.int32)
    )
    return packed


def as_text(colour: Any) -> str:
    """Write a colour as the web does."""
    return f"#{int(colour):06x}"


def colour_axis(labels: Array, answers: tuple[int, ...]) -> int | None:
    """Return where masks [n, …] hold their channels beside one row's answers; None where they are no such masks."""
    if labels.ndim != 4 or not is_numeric(labels) or labels.dtype.kind == "b":
        return None
    for axis in (3, 1):
        places = labels.shape[1:axis] + labels.shape[axis + 1 :]
        if labels.shape[axis] in CHANNELS and (
            class_axes(answers, places) or squeezed(answers) == squeezed(places)
        ):
            return axis if _are_bytes(labels) else None
    return None


def _are_bytes(labels: Array) -> bool:
    if labels.dtype == np.uint8:
        return True
    return bool(labels.min() >= 0 and labels.max() <= 255 and are_whole(np.unique(labels)))


def palette(labels: Array, axis: int) -> NDArray[np.int64]:
    """Return the different colours of masks, as numbers 0xRRGGBB, sorted."""
    seen = np.zeros(1 << 24, bool)
    for row in range(len(labels)):
        seen[codes(labels[row : row + 1], axis)] = True
    return np.flatnonzero(seen)


def colour_trials(
    outputs: Sequence[Output], probe: Probe, labels: Array, told: Told
) -> list[Trial]:
    """Return what the original knows of masks of colours, where one assignment to its classes stands far above others.

    `labels` are those of all parts. Raises DatasetMismatch where the order that is asked for does not fit.
    """
    trials: list[Trial] = []
    for output in outputs:
        axis = colour_axis(labels, tuple(output.answers.shape[1:]))
        if axis is not None:
            trials += _of_output(output, probe, palette(labels, axis), axis, told)
    return trials


def _of_output(
    output: Output, probe: Probe, values: NDArray[np.int64], axis: int, told: Told
) -> Iterator[Trial]:
    assert probe.rows.labels is not None
    raw = probe.rows.labels
    option = _in_numbers(told.option)
    for layout in _layouts(output, raw.shape[1:axis] + raw.shape[axis + 1 :]):
        ignored = [option.ignore]
        if option.ignore is None and option.classes is None and len(values) == layout.classes + 1:
            ignored = [int(value) for value in values]
        tried = [
            _try(output, layout, raw, values, axis, _ignoring(option, one), told) for one in ignored
        ]
        best = standing_out([trial for trial in tried if trial is not None])
        if best is not None:
            yield best


def _ignoring(option: LabelsOption, ignore: Any) -> LabelsOption:
    """Return what is said of the labels with another value that is not counted."""
    return option.model_copy(update={"ignore": ignore})


def _layouts(output: Output, places: tuple[int, ...]) -> Iterator[Layout]:
    shape = tuple(output.answers.shape[1:])
    for axis in class_axes(shape, places):
        yield Layout("classes", shape, axis, form_of(output.answers, axis, output.squashed_by))
    if squeezed(shape) == squeezed(places):
        form = form_of(output.answers, None, output.squashed_by)
        yield Layout("scores", shape, None, form, 0.5 if form == "probabilities" else 0.0)


def _try(
    output: Output,
    layout: Layout,
    raw: Array,
    values: NDArray[np.int64],
    axis: int,
    option: LabelsOption,
    told: Told,
) -> Trial | None:
    task: Task = "classification" if layout.kind == "classes" else "binary"
    reading = Reading(output.name, task, layout, None, option.ignore)
    asked = option if option.classes is not None else option.model_copy(update={"order": "matched"})
    try:
        named = name_classes(
            reading, output.answers, codes(raw, axis), Naming(values, option.ignore, asked, [])
        )
    except DatasetMismatch:
        if option.classes is not None:
            raise
        return None
    if named is None or not isinstance(named.coding, Values):
        return None
    coding = Colours(named.coding.known, named.coding.classes, axis)
    meaning = Meaning(
        task,
        output.name,
        layout,
        coding,
        class_names=told.names_of(layout.classes) or _names(coding, layout.classes),
        order=named.how,
        ignore=None if option.ignore is None else as_text(option.ignore),
        reading=READING,
    )
    skill = knows.of_classes(layout.predicted(output.answers), meaning.labels(raw))
    pairs = ", ".join(
        f"{as_text(value)} is output {class_index}"
        for value, class_index in [*zip(coding.known, coding.classes, strict=True)][:MOST_NAMED]
        if class_index >= 0
    )
    why = (f"read as {READING}: the original is {skill.said} under it", *named.why, pairs)
    return Trial(replace(meaning, why=why, original=skill.said), skill, 1.0)


def _names(coding: Colours, count: int) -> tuple[str, ...]:
    names = [f"output {class_index}" for class_index in range(count)]
    for value, class_index in zip(coding.known, coding.classes, strict=True):
        if class_index >= 0:
            names[class_index] = as_text(value)
    return tuple(names)


def _in_numbers(option: LabelsOption) -> LabelsOption:
    """Return what is said of the labels with `#rrggbb` as the number that it is."""
    classes = None if option.classes is None else [*map(_as_number, option.classes)]
    changed = {"classes": classes, "ignore": _as_number(option.ignore), "order": "auto"}
    return option.model_copy(update=changed)


def _as_number(value: Any) -> Any:
    text = written(value).lower()
    try:
        return int(text[1:], 16) if len(text) == 7 and text.startswith("#") else value
    except ValueError:
        return value


def unread_colours(answers: tuple[int, ...], labels: Array) -> DatasetMismatch | None:
    """Return why masks of colours cannot be read beside one row's answers; None where the labels are no such masks."""
    axis = colour_axis(labels, answers)
    if axis is None:
        return None
    places = labels.shape[1:axis] + labels.shape[axis + 1 :]
    axes = class_axes(answers, places)
    count = answers[axes[0] - 1] if axes else 2
    colours = palette(labels, axis)
    if len(colours) > count:
        return DatasetMismatch(
            f"the masks in 'y' hold {len(colours):,} colours, and the model tells {count} classes apart: save masks "
            "without losses (as PNG), give each class one colour, and name one that is not counted with labels.ignore, "
            'as "#rrggbb"',
            pointer="#/y",
        )
    listed = ", ".join(f'"{as_text(value)}"' for value in colours[:MOST_NAMED])
    return DatasetMismatch(
        f"the masks in 'y' hold the colours {listed}{', …' if len(colours) > MOST_NAMED else ''}, and by the "
        "original's answers no assignment of them to its classes stands out: say which colour is which output with "
        f"labels.classes, {count} of them in the order of the outputs",
        pointer="#/labels/classes",
    )
