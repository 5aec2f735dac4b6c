"""Why no reading fits, in the words of the labels' and the answers' shapes."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch
from spectral_engine.meaning.coding import shown
from spectral_engine.meaning.colours import unread_colours
from spectral_engine.meaning.layout import class_axes
from spectral_engine.meaning.readings import LabelFacts
from spectral_engine.records.labels import Task

WANTED: dict[Task, str] = {
    "detection": "boxes are an array [images, boxes, 5] of four numbers and a class, all in the image, with −1 in "
    "padding (say with labels.boxes whether they are xyxy, xywh or cxcywh), beside an image as the input and boxes in "
    "that image as the output: [images, boxes, 4 + classes], its transpose, one with objectness, or several outputs. "
    "Raw heads [images, anchors · (5 + classes), height, width] and offsets from anchors cannot be read without "
    "the anchors: export the model with its decoding",
    "ctc": "texts are strings [n], or class numbers [n, longest] with −1 behind the end, beside an output "
    "[n, steps, classes]",
    "similarity": "pairs are arrays x_a and x_b (or one [n, 2, …]) with one number for each pair, beside an output of "
    "embeddings [n, width]",
}
COUNTED = {None, "classification", "binary"}


def no_reading(
    outputs: Mapping[str, NDArray[Any]], facts: LabelFacts, labels: NDArray[Any], task: Task | None
) -> DatasetMismatch:
    """Return the error that says what does not go together, and the remedy."""
    if task in WANTED:
        return _other_kind(outputs, facts, task)
    if task in COUNTED and (unread := _unread_colours(outputs, labels)) is not None:
        return unread
    return _no_plain_reading(outputs, facts, labels, task)


def _unread_colours(
    outputs: Mapping[str, NDArray[Any]], labels: NDArray[Any]
) -> DatasetMismatch | None:
    floats = [one for one in outputs.values() if np.issubdtype(one.dtype, np.floating)]
    said = (unread_colours(tuple(answers.shape[1:]), labels) for answers in floats)
    return next((error for error in said if error is not None), None)


def _no_plain_reading(
    outputs: Mapping[str, NDArray[Any]], facts: LabelFacts, labels: NDArray[Any], task: Task | None
) -> DatasetMismatch:
    floats = [name for name in outputs if np.issubdtype(outputs[name].dtype, np.floating)]
    name = floats[0]
    answers = tuple(outputs[name].shape[1:])
    axes = class_axes(answers, facts.row_shape)
    asked = "" if task is None else f", read as {task}"
    if not facts.numeric and _are_numbers(facts.values):
        return DatasetMismatch(
            f"'y' holds numbers written as texts, such as {shown(facts.values[0])}: give them as numbers",
            pointer="#/y",
        )
    if axes and task in {None, "classification"}:
        return DatasetMismatch(_too_many(labels, facts, answers[axes[0] - 1]), pointer="#/y")
    if task == "classification" and prod(facts.row_shape) == prod(answers) > 1:
        return DatasetMismatch(
            f"'y' has {_shape(facts.row_shape)} a row, as output {name!r} has answers, but does not name one class: "
            "give one label for each row or place, a single 1 among zeros, or shares that sum to 1",
            pointer="#/y",
        )
    if not facts.numeric:
        return DatasetMismatch(
            f"'y' holds texts such as {shown(facts.values[0])}, and output {name!r} answers "
            f"{_shape(answers)} a row{asked}: no class of the model can be told from them",
            pointer="#/y",
        )
    return DatasetMismatch(
        f"'y' has {_shape(facts.row_shape)} a row, and output {name!r} answers {_shape(answers)} a row{asked}: "
        "give one label for each row or place, or as many numbers as the model answers",
        pointer="#/y",
    )


def _are_numbers(values: NDArray[Any]) -> bool:
    """Say whether all texts are numbers, with a point or a comma."""
    try:
        [float(str(value).strip().replace(",", ".")) for value in values]
    except ValueError:
        return False
    return True


def lists_alone(outputs: Mapping[str, NDArray[Any]]) -> DatasetMismatch:
    """Return the error of answers that are lists, which are compared by what they should be and not by place."""
    return DatasetMismatch(
        f"outputs {', '.join(map(repr, outputs))} are lists of another length for each row, and cannot be compared "
        "without labels: give boxes as labels, or export the model with what the lists are chosen from as an output",
        pointer="#/y",
    )


def _other_kind(
    outputs: Mapping[str, NDArray[Any]], facts: LabelFacts, task: Task
) -> DatasetMismatch:
    answers = ", ".join(
        f"output {name!r} answers {_shape(array.shape[1:])}" for name, array in outputs.items()
    )
    return DatasetMismatch(
        f"read as {task}: 'y' has {_shape(facts.row_shape)} a row, and {answers} a row; {WANTED[task]}",
        pointer="#/y",
    )


def _too_many(labels: NDArray[Any], facts: LabelFacts, classes: int) -> str:
    if facts.whole:
        start = f"labels go up to {int(labels.max())}, and the model has {classes} outputs"
        if len(facts.values) <= classes:
            return f"{start}: say which value stands for which output with labels.classes"
        more = f"{start}: {len(facts.values)} values are more than it can tell apart"
        return more + _one_too_many(facts, classes)
    if facts.numeric:
        return (
            f"'y' has one number a row, {len(facts.values)} of them different, and the model answers {classes} "
            "columns: classes are whole numbers or names"
        )
    start = f"labels hold {len(facts.values)} classes, and the model has {classes} outputs"
    return start + _one_too_many(facts, classes)


def _one_too_many(facts: LabelFacts, classes: int) -> str:
    if len(facts.values) != classes + 1:
        return ""
    return "; if one value marks what is not counted, name it with labels.ignore"


def _shape(shape: tuple[int, ...]) -> str:
    """Write the shape of one row as a person would."""
    if prod(shape) == 1:
        return "1 number"
    if len(shape) == 1:
        return f"{shape[0]} columns"
    return f"shape {list(shape)}"
