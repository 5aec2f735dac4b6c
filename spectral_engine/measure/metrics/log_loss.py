"""The negative log-likelihood of the labels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from spectral_engine.errors import InvalidRequest
from spectral_engine.measure.metrics.base import Form
from spectral_engine.measure.metrics.decisions import IGNORED, over_classes, truth_of
from spectral_engine.measure.metrics.ratio import Ratio
from spectral_engine.measure.metrics.registry import register
from spectral_engine.measure.metrics.rows import Array, Floats
from spectral_engine.records.metrics import Metric


@register
class LogLoss(Ratio):
    """The mean negative log-likelihood of the labels in nats; probabilities are clipped to what their type resolves."""

    name: ClassVar[Metric] = "log_loss"

    def places(self, answers: Array, labels: Array, form: Form) -> tuple[Array, NDArray[np.bool_]]:
        """Return −log p(label)."""
        if form == "values":
            raise InvalidRequest(
                "log_loss needs probabilities or logits, and the answers are neither: ask for accuracy",
                pointer="#/recipe/metric",
            )
        classes = over_classes(answers, labels, self.task)
        truth = truth_of(answers, labels, classes=classes)
        counted = truth != IGNORED
        if not classes:
            return _of_one_score(answers, truth, form), counted
        logs = _log_probabilities(answers, form)
        known = counted & (truth < answers.shape[-1])
        of_label = np.take_along_axis(logs, np.where(known, truth, 0)[..., None], axis=-1)[..., 0]
        return -np.where(known, of_label, np.log(_resolution(answers))), counted


def _log_probabilities(answers: Array, form: Form) -> Floats:
    """Return log p of every class; probabilities are first made to sum to 1."""
    values = answers.astype(np.float64)
    if form == "logits":
        return np.asarray(log_softmax(values, axis=-1))
    if form == "log_probabilities":
        return np.maximum(values, np.log(_resolution(answers)))
    shares = values / np.maximum(values.sum(axis=-1, keepdims=True), np.finfo(np.float64).tiny)
    return np.asarray(np.log(np.clip(shares, _resolution(answers), 1.0)))


def _of_one_score(answers: Array, truth: Array, form: Form) -> Floats:
    values = answers.astype(np.float64)
    sign = np.where(truth == 1, 1.0, -1.0)
    if form == "logits":
        return np.asarray(np.logaddexp(0.0, -sign * values))
    right = 0.5 + sign * values  # canonical probabilities have 0.5 taken off
    return np.asarray(-np.log(np.clip(right, _resolution(answers), 1.0)))


def _resolution(answers: Array) -> float:
    return float(np.finfo(answers.dtype if answers.dtype.kind == "f" else np.float64).eps)
