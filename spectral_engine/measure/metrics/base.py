"""What every metric is: statistics of rows, taken once, and a value of any resample of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from spectral_engine.errors import DatasetMismatch
from spectral_engine.measure.form import Form
from spectral_engine.measure.metrics.rows import Array, Floats, Rows
from spectral_engine.records.labels import Task
from spectral_engine.records.metrics import HIGHER_IS_BETTER, Metric

__all__ = ["Form", "MetricRule"]


class MetricRule(ABC):
    """One metric. Answers and labels come in canonical form, as docs/decisions/0008-metrics.md tells it.

    `task` says what the shapes leave open: whether entries are labels of their own (multilabel) or places of one kind
    (binary), and what answers mean that stand in for labels. `quantiles` are those of `quantile_loss`, one of all
    numbers or one for each place on the last axis; `blank` is the class that stands for no character, −1 for the last.
    """

    name: ClassVar[Metric]
    against_original: ClassVar[bool] = (
        False  # where labels can be nothing but the original's answers
    )

    def __init__(
        self, task: Task | None = None, *, quantiles: tuple[float, ...] = (0.5,), blank: int = 0
    ) -> None:
        self.task, self.quantiles, self.blank = task, quantiles, blank

    @property
    def higher_is_better(self) -> bool:
        """Tell which way is better."""
        return HIGHER_IS_BETTER[self.name]

    @abstractmethod
    def rows(self, answers: Array, labels: Array, form: Form) -> Rows:
        """Return the statistics of every row that has something to count, in the order of the rows.

        Where labels are floats in the shape of the answers, they are another model's answers. Raises InvalidRequest
        where the metric cannot be computed from such answers, and DatasetMismatch where labels do not fit them.
        """

    @abstractmethod
    def values(self, rows: Rows, weights: Floats) -> Floats:
        """Return the metric of every resample [resamples]; NaN where it is not defined.

        `weights` [rows, resamples] says how many times each row is in each of them.
        """

    @abstractmethod
    def worst(self, before: Rows, after: Rows) -> tuple[Rows, Rows]:
        """Return one row more of both models, the worst for the second among what was seen."""

    def value(self, rows: Rows) -> float:
        """Return the metric of these rows; NaN where it is not defined on them."""
        return float(self.values(rows, np.ones((len(rows), 1)))[0]) if len(rows) else float("nan")

    def parts(self, rows: Rows) -> tuple[Floats, Floats] | None:
        """Return two columns [rows] with 0 ≤ first ≤ second ≤ 1 whose sums' ratio is the metric; None for others."""
        del rows
        return None

    def shares(self, rows: Rows) -> Floats | None:
        """Return values [rows] in [0, 1] where the metric is their plain mean, else None."""
        parts = self.parts(rows)
        if parts is None or not len(rows) or (parts[1] != parts[1][0]).any():
            return None
        return parts[0] / parts[1]

    def differences(self, before: Rows, after: Rows) -> Floats | None:
        """Return values [rows] whose mean is the drop, about, for metrics that single rows can carry; else None."""
        del before, after
        return None

    def by_class(self, rows: Rows) -> dict[int, float] | None:
        """Return the metric's own figure of each class, where it has one."""
        del rows
        return None

    def obstacle(self, rows: Rows) -> str | None:
        """Return why the metric is the same whatever a model answers to these rows, or None."""
        del rows
        return None

    def undefined(self, rows: Rows) -> DatasetMismatch:
        """Return the error to raise where the metric is not defined on these rows."""
        reason = self.obstacle(rows) or f"{self.name} is not defined on these {len(rows):,} rows"
        return DatasetMismatch(f"{reason}; ask for another metric", pointer="#/recipe/metric")
