"""How a net's loss tells rows that it was trained on from rows that it never saw.

A copy trains on half of the rows and not on the other. Of a net that had learned both halves, the first has nothing
left to teach, and the second is forgotten; of one that had seen neither, the first is learned and the second stays as
it was. So fall ÷ (fall + rise) of the losses says where the net stood between both. Losses are taken at the
temperature that suits each set of answers best (Guo et al., ICML 2017): confidence alone is no memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logit

from spectral_engine.measure.form import Form

Array = NDArray[Any]
Floats = NDArray[np.float64]
TEMPERATURES = np.exp(np.linspace(-2.5, 2.5, 41))
THRESHOLD = 0.6
SURENESS = 1.645  # standard errors by which the place must be below the threshold: 95 %, one-sided
OVERCONFIDENT = 1.1  # best temperature: training leaves none above 1 on the rows that it saw
CLEAR_RISE = 1.0  # standard errors by which the loss must rise on rows that were left out
SMALLEST = 1e-7


@dataclass(frozen=True)
class Place:
    """Where a net stands: `value` near 0 as after training on such rows, near 1 as before."""

    value: float
    error: float
    learned: float
    forgotten: float
    forgotten_error: float
    temperature: float = 1.0  # that suits the net's answers to these rows best

    @property
    def remembers(self) -> bool:
        """True where the rows show that the net has learned from them."""
        low_enough = self.value + SURENESS * self.error < THRESHOLD
        forgets = self.forgotten > CLEAR_RISE * self.forgotten_error
        return low_enough and forgets and self.temperature <= OVERCONFIDENT


def place_between(learned: Floats, forgotten: Floats, temperature: float = 1.0) -> Place:
    """Return the place from each row's fall of loss [rows trained on] and rise of loss [rows left out].

    The error is that of a ratio of independent means, by the delta method.
    """
    fall, rise = float(learned.mean()), float(forgotten.mean())
    fall_error, rise_error = _error(learned), _error(forgotten)
    whole = fall + rise
    if whole <= 0:
        return Place(inf, inf, fall, rise, rise_error, temperature)
    error = sqrt((rise * fall_error) ** 2 + (fall * rise_error) ** 2) / whole**2
    return Place(fall / whole, error, fall, rise, rise_error, temperature)


def _error(values: Floats) -> float:
    return float(values.std(ddof=1)) / sqrt(len(values)) if len(values) > 1 else inf


def class_losses(answers: Array, labels: Array, form: Form) -> tuple[Floats, float]:
    """Return each row's negative log-likelihood [rows] of classes [rows, places…, k], and the best temperature for it.

    A label of −1 is not counted.
    """
    rows = len(answers)
    logits = _logits(answers, form).reshape(rows, -1, answers.shape[-1])
    truth = labels.reshape(rows, -1).astype(np.int64)
    counted = truth >= 0
    shares = counted / np.maximum(counted.sum(1, keepdims=True), 1)  # [rows, places]
    known = np.where(counted, truth, 0)[..., None]
    return _at_best_temperature(logits, known, shares)


def score_losses(answers: Array, labels: Array, form: Form) -> tuple[Floats, float]:
    """Return each row's negative log-likelihood [rows] of yes or no [rows, places…], and the best temperature."""
    values = answers.astype(np.float64)
    if form == "probabilities":  # canonical ones have the threshold of 0.5 taken off
        values = logit(np.clip(values + 0.5, SMALLEST, 1 - SMALLEST))
    return class_losses(np.stack([np.zeros_like(values), values], -1), labels, "logits")


def number_losses(answers: Array, labels: Array) -> Floats:
    """Return each row's mean squared error [rows]."""
    apart = (answers.astype(np.float64) - labels.reshape(answers.shape)) ** 2
    return np.asarray(apart.reshape(len(answers), -1).mean(axis=1))


def _logits(answers: Array, form: Form) -> Floats:
    values = answers.astype(np.float64)
    return np.log(np.maximum(values, SMALLEST)) if form == "probabilities" else values


def _at_best_temperature(
    logits: Floats, known: NDArray[np.int64], shares: Floats
) -> tuple[Floats, float]:
    best, least, best_temperature = np.zeros(0), inf, 1.0
    for temperature in TEMPERATURES:
        logs = log_softmax(logits / temperature, axis=-1)
        losses = -(np.take_along_axis(logs, known, axis=-1)[..., 0] * shares).sum(1)
        if losses.mean() < least:
            best, least, best_temperature = losses, float(losses.mean()), float(temperature)
    return best, best_temperature
