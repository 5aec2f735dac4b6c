"""Means of the errors of numbers: squared, absolute, in proportion, and of a quantile."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch, InvalidRequest
from spectral_engine.measure.metrics.base import Form
from spectral_engine.measure.metrics.ratio import Ratio
from spectral_engine.measure.metrics.registry import register
from spectral_engine.measure.metrics.rows import Array, Floats
from spectral_engine.records.metrics import Metric


class MeanError(Ratio):
    """The mean, over all numbers of all rows, of what an error costs."""

    @abstractmethod
    def cost(self, answers: Floats, labels: Floats) -> Floats:
        """Return what each answer costs."""

    def places(self, answers: Array, labels: Array, form: Form) -> tuple[Array, NDArray[np.bool_]]:
        """Return what each answer costs; all count."""
        given, wanted = paired_numbers(answers, labels)
        return self.cost(given, wanted), np.ones(wanted.shape, dtype=bool)


def paired_numbers(answers: Array, labels: Array) -> tuple[Floats, Floats]:
    """Return both as float64 in the shape of the labels; raises DatasetMismatch where they are not as many."""
    if answers[:1].size != labels[:1].size or len(answers) != len(labels):
        raise DatasetMismatch(
            f"targets have the shape {list(labels.shape)}, and answers {list(answers.shape)}: "
            "give one target for each number that is answered",
            pointer="#/y",
        )
    return answers.reshape(labels.shape).astype(np.float64), labels.astype(np.float64)


@register
class MeanSquaredError(MeanError):
    """The mean squared error."""

    name: ClassVar[Metric] = "mse"

    def cost(self, answers: Floats, labels: Floats) -> Floats:
        """Return squares."""
        return (answers - labels) ** 2


@register
class MeanAbsoluteError(MeanError):
    """The mean absolute error."""

    name: ClassVar[Metric] = "mae"

    def cost(self, answers: Floats, labels: Floats) -> Floats:
        """Return distances."""
        return np.abs(answers - labels)


@register
class MeanAbsolutePercentageError(MeanError):
    """The mean of |answer − target| / |target|: 0.1 for ten per cent."""

    name: ClassVar[Metric] = "mape"

    def cost(self, answers: Floats, labels: Floats) -> Floats:
        """Return distances over targets; raises InvalidRequest where a target is 0."""
        zeros = int((labels == 0).sum())
        if zeros:
            raise InvalidRequest(
                f"mape divides by the target, and {zeros:,} of {labels.size:,} targets are 0: ask for mae",
                pointer="#/recipe/metric",
            )
        return np.asarray(np.abs(answers - labels) / np.abs(labels))


@register
class QuantileLoss(MeanError):
    """The pinball loss: q of what an answer falls short by, 1 − q of what it is too much by.

    Of several quantiles each place on the last axis has its own, and the mean is over all of them.

    Koenker & Bassett, Econometrica 46 (1978): the q-quantile of the targets makes it smallest.
    """

    name: ClassVar[Metric] = "quantile_loss"

    def cost(self, answers: Floats, labels: Floats) -> Floats:
        """Return what falls short and what is too much, each by its weight."""
        off, quantiles = labels - answers, np.asarray(self.quantiles)
        return np.asarray(np.maximum(quantiles * off, (quantiles - 1) * off))
