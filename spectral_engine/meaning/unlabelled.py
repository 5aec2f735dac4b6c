"""Answers without labels: what a fair distance between two models' answers is, from the answers themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from spectral_engine.errors import DatasetMismatch
from spectral_engine.meaning.layout import Array, Layout, class_axes, form_of
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.probe import Output
from spectral_engine.records.labels import Task

CLASS_HEADS = {"Softmax", "LogSoftmax"}
CLASS_WORDS = ("logit", "prob", "class", "score", "label", "pred")
NUMBER_WORDS = ("embed", "feature", "pooled", "hidden", "image", "depth", "recon")
MOST_ALIKE = 0.9  # of the rows in one class: beyond it the classes of answers say little
SURE = (
    0.75  # mean share of the highest class, were the answers logits: numbers of unit size have less
)


def without_labels(outputs: Sequence[Output], rows: int, task: Task | None) -> Meaning:
    """Return how the first output that varies is compared with the original's.

    Raises DatasetMismatch where all answers are the same, whatever the row.
    """
    del task
    for output in outputs:
        answers = output.answers
        if len(answers) == rows and _varies(answers):
            return _meaning(output)
    raise DatasetMismatch(
        "the original gives the same answer to every row: there is nothing to keep to (are the inputs scaled as the "
        "model wants them?)",
        pointer="#/x",
    )


def _meaning(output: Output) -> Meaning:
    shape = tuple(output.answers.shape[1:])
    axis = next(iter(class_axes(shape, None)), None) if shape else None
    reason = _why_classes(output, axis)
    if axis is not None and reason is not None:
        form = form_of(output.answers, axis, output.squashed_by)
        layout = Layout("classes", shape, axis, form)
        why = f"no labels; {reason}: answers are compared by their highest class"
        return Meaning(
            "distillation",
            output.name,
            layout,
            reading="classes, as the original gives them",
            why=(why,),
        )
    if output.squashed_by == "Sigmoid" and _both_sides(output.answers):
        layout = Layout("scores", shape, None, "probabilities", 0.5)
        why = "no labels; a sigmoid ends the graph: answers are compared by yes and no"
        return Meaning(
            "distillation",
            output.name,
            layout,
            reading="yes or no, as the original gives it",
            why=(why,),
        )
    layout = Layout("numbers", shape)
    why = "no labels; the answers are numbers: they are compared by r2 to the original's"
    return Meaning(
        "distillation",
        output.name,
        layout,
        reading="numbers, as the original gives them",
        why=(why,),
    )


def _varies(answers: Array) -> bool:
    flat = answers.reshape(len(answers), -1).astype(np.float64)
    scale = float(np.abs(flat).max())
    return bool(np.ptp(flat, axis=0).max() > 1e-6 * max(scale, 1e-30))


def _both_sides(answers: Array) -> bool:
    share = float((answers > 0.5).mean())
    return 1 - MOST_ALIKE < share < MOST_ALIKE


def _why_classes(output: Output, axis: int | None) -> str | None:
    """Say why the answers are classes, or None where they may as well be numbers."""
    if axis is None or _mostly_one(output.answers, axis):
        return None
    if output.squashed_by in CLASS_HEADS:
        return f"a {output.squashed_by} ends the graph"
    if form_of(output.answers, axis, None) != "logits":
        return "the answers of a row sum to 1"
    return _why_logits(output, axis)


def _mostly_one(answers: Array, axis: int) -> bool:
    highest = answers.argmax(axis=axis).reshape(-1)
    return float(np.bincount(highest).max() / highest.size) > MOST_ALIKE


def _why_logits(output: Output, axis: int) -> str | None:
    name = output.name.lower()
    if any(word in name for word in NUMBER_WORDS):
        return None
    if any(word in name for word in CLASS_WORDS):
        return f"the output is called {output.name!r}"
    sure = float(softmax(output.answers.astype(np.float64), axis=axis).max(axis=axis).mean())
    return "the answers are as far apart as those of sure classes" if sure > SURE else None
