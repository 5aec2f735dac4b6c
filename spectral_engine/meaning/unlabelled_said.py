"""What the user says that answers without labels are: it wins over what they look like."""

from __future__ import annotations

from math import prod

from spectral_engine.errors import InvalidRequest
from spectral_engine.meaning.layout import Layout, class_axes
from spectral_engine.meaning.maps import channel_axis, classes_of_map, is_map, masks
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.probe import Output
from spectral_engine.meaning.unlabelled_forms import (
    Inputs,
    as_classes,
    as_embeddings,
    as_numbers,
    as_scores,
    classes_layout,
    scores_layout,
)
from spectral_engine.records.labels import Task


def as_said(output: Output, inputs: Inputs, task: Task | None) -> Meaning | None:
    """Return the form that a task asks for; None for tasks that say nothing of it.

    Raises InvalidRequest where the answers cannot be that.
    """
    why = f"no labels; read as {task}, as the request says"
    shape = tuple(output.answers.shape[1:])
    if task == "regression":
        return as_numbers(output.name, Layout("numbers", shape), f"{why}: compared by r2")
    if task == "similarity":
        if prod(shape) < 2:
            raise _cannot_be(output, task)
        how = f"{why}: compared by the order of neighbours"
        return as_embeddings(output.name, Layout("numbers", shape), how)
    if task == "classification":
        return _classes(output, inputs, why)
    if task in {"binary", "multilabel"}:
        return _scores(output, inputs, why, task)
    return None


def as_decided(output: Output, inputs: Inputs) -> Meaning:
    """Return classes, or yes and no where there is no axis of them: for a metric that counts decisions."""
    why = "no labels; the metric that is asked for counts decisions"
    if _class_axis(output, inputs) is None:
        return _scores(output, inputs, why, "binary")
    return _classes(output, inputs, why)


def _class_axis(output: Output, inputs: Inputs) -> int | None:
    """Return the axis on which classes would lie, counted with the rows' one; None where there is none."""
    shape = tuple(output.answers.shape[1:])
    if not is_map(output, inputs):
        return next(iter(class_axes(shape, None)), None)
    axis = channel_axis(output, inputs)
    return None if axis is None or shape[axis - 1] < 2 else axis


def _classes(output: Output, inputs: Inputs, why: str) -> Meaning:
    axis = _class_axis(output, inputs)
    if axis is None:
        raise _cannot_be(output, "classification")
    if is_map(output, inputs):
        return classes_of_map(output, axis, why)
    return as_classes(
        output.name, classes_layout(output, axis), f"{why}: compared by their highest class"
    )


def _scores(output: Output, inputs: Inputs, why: str, task: Task) -> Meaning:
    if is_map(output, inputs):
        return masks(output, channel_axis(output, inputs) if task == "multilabel" else None, why)
    return as_scores(output.name, scores_layout(output), f"{why}: compared by yes and no")


def _cannot_be(output: Output, task: Task) -> InvalidRequest:
    shape = list(output.answers.shape[1:])
    return InvalidRequest(
        f"the request reads output {output.name!r} as {task}, and it answers {shape} a row",
        pointer="#/recipe/task",
    )
