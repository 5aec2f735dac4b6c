"""A model's answers and labels as the metrics take them, read from their shapes and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.classes import class_axis
from spectral_engine.measure.metrics import Form
from spectral_engine.recipe import Task

Array = NDArray[Any]
OVER_CLASSES = {"classification", "binary", "distillation"}


def canonical(outputs: Array, labels: Array | None, task: Task) -> tuple[Array, Array, Form]:
    """Return answers, labels and form; without labels the answers themselves are the labels."""
    answers, form = _answers(outputs, labels, task)
    if labels is None:
        return answers, answers, form
    if task == "regression":
        return answers, labels.reshape(answers.shape), form
    return (
        answers,
        (labels > 0.5).astype(np.int64) if answers.shape == labels.shape else labels,
        form,
    )


def _answers(outputs: Array, labels: Array | None, task: Task) -> tuple[Array, Form]:
    if task == "regression":
        return outputs, "values"
    shares = bool(((outputs >= 0) & (outputs <= 1)).all())
    form: Form = "probabilities" if shares else "logits"
    single = outputs.ndim < 2 or (outputs.ndim == 2 and outputs.shape[1] == 1)
    if single or task not in OVER_CLASSES or (labels is not None and labels.shape == outputs.shape):
        answers = (
            outputs.reshape(len(outputs))
            if single and (labels is None or labels.ndim == 1)
            else outputs
        )
        return answers - (0.5 if shares else 0.0), form
    axis = class_axis(outputs.shape, None if labels is None else labels.shape)
    return np.moveaxis(outputs, axis, -1), form
