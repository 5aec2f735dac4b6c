"""Shares of right answers: accuracy, top 5, and agreement with the original."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import InvalidRequest
from spectral_engine.measure.metrics.base import Form
from spectral_engine.measure.metrics.decisions import (
    IGNORED,
    decide,
    over_classes,
    truth_of,
)
from spectral_engine.measure.metrics.ratio import Ratio
from spectral_engine.measure.metrics.registry import register
from spectral_engine.measure.metrics.rows import Array, Rows
from spectral_engine.records.metrics import Metric

BEST = 5


@register
class Accuracy(Ratio):
    """The share of right answers, over all places that count: rows, steps, pixels, or single labels of many."""

    name: ClassVar[Metric] = "accuracy"
    bounded = True

    def places(self, answers: Array, labels: Array, form: Form) -> tuple[Array, NDArray[np.bool_]]:
        """Return where the answer is right."""
        classes = over_classes(answers, labels, self.task)
        truth = truth_of(answers, labels, classes=classes)
        return decide(answers, classes=classes) == truth, truth != IGNORED

    def rows(self, answers: Array, labels: Array, form: Form) -> Rows:
        """Keep how many answers there are to choose from."""
        counted = super().rows(answers, labels, form)
        only = over_classes(answers, labels, self.task) and answers.shape[-1] == 1
        return Rows(counted.values, counted.dropped, counted.one_answer, {"one_class": only})

    def obstacle(self, rows: Rows) -> str | None:
        """Say so where the answers have one column, which is always the strongest."""
        if rows.shared and rows.shared["one_class"]:
            return (
                f"{self.name}: there is one class to choose from, so that every answer is the same"
            )
        return None


@register
class Agreement(Accuracy):
    """The share of places where a model decides as the original does, whose answers are the labels."""

    name: ClassVar[Metric] = "agreement"
    against_original = True


@register
class Top5(Ratio):
    """The share of places whose label is among the five strongest classes; of equal ones the first comes first."""

    name: ClassVar[Metric] = "top5"
    bounded = True

    def places(self, answers: Array, labels: Array, form: Form) -> tuple[Array, NDArray[np.bool_]]:
        """Return where fewer than five classes come before the label."""
        if not over_classes(answers, labels, self.task):
            raise InvalidRequest(
                "top5 needs answers over classes, and these are single scores: ask for accuracy",
                pointer="#/recipe/metric",
            )
        truth = truth_of(answers, labels, classes=True)
        counted, classes = truth != IGNORED, answers.shape[-1]
        label = np.where(counted & (truth < classes), truth, 0)[..., None]
        of_label = np.take_along_axis(answers, label, axis=-1)
        earlier = np.arange(classes) < label
        before = ((answers > of_label) | ((answers == of_label) & earlier)).sum(axis=-1)
        return (before < BEST) & (truth < classes), counted

    def rows(self, answers: Array, labels: Array, form: Form) -> Rows:
        """Keep how many classes there are."""
        counted = super().rows(answers, labels, form)
        return Rows(
            counted.values, counted.dropped, counted.one_answer, {"classes": answers.shape[-1]}
        )

    def obstacle(self, rows: Rows) -> str | None:
        """Say so where there are no more than five classes."""
        classes = rows.shared["classes"] if rows.shared else BEST + 1
        if classes <= BEST:
            return f"top5: there are {classes} classes, so that every label is among the first five"
        return None
