"""Answers without labels: what a fair distance between two models' answers is, from the answers themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from spectral_engine.errors import DatasetMismatch
from spectral_engine.meaning.embeddings import why_embedding
from spectral_engine.meaning.layout import CLASS_HEADS, Array, Layout, class_axes, form_of
from spectral_engine.meaning.maps import is_map, map_meaning
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.probe import Output, Probe
from spectral_engine.meaning.unlabelled_forms import (
    as_classes,
    as_embeddings,
    as_numbers,
    as_scores,
    classes_layout,
    scores_layout,
)
from spectral_engine.meaning.unlabelled_said import as_decided, as_said
from spectral_engine.meaning.words import CLASS_WORDS, NUMBER_WORDS, called
from spectral_engine.records.labels import Task
from spectral_engine.records.metrics import Metric

OF_METRIC: dict[Metric, Task] = {"r2": "regression"}  # to ask for one says what the answers are
OF_DECISIONS: set[Metric] = {"miou", "dice", "balanced_accuracy", "f1_macro"}
MOST_ALIKE = 0.9  # of the rows in one class: beyond it the classes of answers say little
SURE = (
    0.75  # mean share of the highest class, were the answers logits: numbers of unit size have less
)


def without_labels(
    outputs: Sequence[Output], probe: Probe, task: Task | None, metric: Metric | None
) -> Meaning:
    """Return how the first output that varies is compared with the original's; what is said of it wins.

    Raises DatasetMismatch where all answers are the same, whatever the row, and InvalidRequest where answers cannot be
    what is said.
    """
    output = next(
        (meaning for meaning in outputs if _varies(meaning.answers, probe.rows.rows)), None
    )
    if output is None:
        raise DatasetMismatch(
            "the original gives the same answer to every row: there is nothing to keep to (are the inputs scaled as "
            "the model wants them?)",
            pointer="#/x",
        )
    inputs = probe.rows.arrays
    if task in {None, "distillation"} and metric is not None:
        task = OF_METRIC.get(metric)
    said = as_said(output, inputs, task)
    if said is not None:
        return said
    meaning = map_meaning(output, inputs) if is_map(output, inputs) else _of_rows(output)
    if metric in OF_DECISIONS and meaning.kind == "numbers":
        return as_decided(output, inputs)
    return meaning


def not_judged(meaning: Meaning, probe: Probe) -> tuple[Meaning, ...]:
    """Return what each output is that a meaning does not judge, where its answers vary."""
    rest = [output for output in probe.outputs if output.name not in meaning.outputs]
    varying = [output for output in rest if _varies(output.answers, probe.rows.rows)]
    return tuple(without_labels([output], probe, None, None) for output in varying)


def _of_rows(output: Output) -> Meaning:
    """Read answers that are no maps: one vector a row, or one a step."""
    shape = tuple(output.answers.shape[1:])
    axis = next(iter(class_axes(shape, None)), None) if shape else None
    if axis is not None and (reason := _why_classes(output, axis)) is not None:
        why = f"no labels; {reason}: answers are compared by their highest class"
        return as_classes(output.name, classes_layout(output, axis), why)
    if (reason := why_embedding(output)) is not None:
        why = (
            f"no labels; {reason}: answers are embeddings, and compared by the order of their neighbours "
            "(rank agreement of cosine similarities)"
        )
        return as_embeddings(output.name, Layout("numbers", shape), why)
    if output.squashed_by == "Sigmoid" and _both_sides(output.answers):
        why = "no labels; a sigmoid ends the graph: answers are compared by yes and no"
        return as_scores(output.name, scores_layout(output), why)
    why = "no labels; the answers are numbers: they are compared by r2 to the original's"
    return as_numbers(output.name, Layout("numbers", shape), why)


def _varies(answers: Array, rows: int) -> bool:
    if len(answers) != rows:
        return False
    flat = answers.reshape(rows, -1).astype(np.float64)
    scale = float(np.abs(flat).max(initial=0.0))
    return bool(np.ptp(flat, axis=0).max(initial=0.0) > 1e-6 * max(scale, 1e-30))


def _both_sides(answers: Array) -> bool:
    share = float((answers > 0.5).mean())
    return 1 - MOST_ALIKE < share < MOST_ALIKE


def _why_classes(output: Output, axis: int) -> str | None:
    """Say why the answers are classes, or None where they may as well be numbers or embeddings."""
    if _mostly_one(output.answers, axis):
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
    if called(output.name, NUMBER_WORDS):
        return None
    if called(output.name, CLASS_WORDS):
        return f"the output is called {output.name!r}"
    if why_embedding(output) is not None:
        return None
    sure = float(softmax(output.answers.astype(np.float64), axis=axis).max(axis=axis).mean())
    return "the answers are as far apart as those of sure classes" if sure > SURE else None
