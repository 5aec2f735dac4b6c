"""The share of variance that is explained."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from spectral_engine.measure.metrics.base import Form, MetricRule
from spectral_engine.measure.metrics.errors import paired_numbers
from spectral_engine.measure.metrics.registry import register
from spectral_engine.measure.metrics.rows import Array, Floats, Rows, flat
from spectral_engine.measure.metrics.tails import stretch
from spectral_engine.records.metrics import Metric

MOST_COLUMNS = 4096
CONSTANT = 1e-20  # variance over mean square, below which it is rounding


@register
class RSquared(MetricRule):
    """R²: 1 − squared error / variance of the target.

    Of several columns each has its own, and the plain mean of them counts; a column whose target does not vary has
    none and is left out. Where a row is a map (more than one axis) or has more than 4,096 numbers, all entries of all
    rows are one sample with one mean. Labels may be the original's answers: then it is R² to the original.
    """

    name: ClassVar[Metric] = "r2"

    def rows(self, answers: Array, labels: Array, form: Form) -> Rows:
        """Return `error`, the squared error, and the target's `first` and `second` moment, each [rows, columns]."""
        given, target = map(flat, paired_numbers(answers, labels))
        error, entries = (given - target) ** 2, 1
        pooled = labels.ndim > 2 or target.shape[1] > MOST_COLUMNS
        middle = target.mean(axis=None if pooled else 0) if len(target) else 0.0
        centred = target - middle
        second = centred**2
        if pooled:
            entries = target.shape[1]
            error, centred, second = (
                part.sum(axis=1, keepdims=True) for part in (error, centred, second)
            )
        scale = (target**2).sum(axis=0) if not pooled else (target**2).sum(keepdims=True)[0]
        varies = second.sum(axis=0) > CONSTANT * scale
        values = {"error": error, "first": centred, "second": second}
        kept = {name: value[:, varies] for name, value in values.items()}
        return Rows(kept, shared={"entries": entries})

    def values(self, rows: Rows, weights: Floats) -> Floats:
        """Return the mean over the columns that vary in each resample."""
        error, first, second = (rows[name].T @ weights for name in ("error", "first", "second"))
        entries = rows.shared["entries"] if rows.shared else 1
        spread = second - first**2 / (weights.sum(axis=0) * entries)
        floor = CONSTANT + 1e-12 * rows["second"].sum(axis=0)[:, None] / max(1, len(rows))
        varies = spread > floor
        shares = np.divide(error, spread, out=np.zeros_like(error), where=varies)
        with np.errstate(invalid="ignore"):
            return np.asarray(
                1 - shares.sum(axis=0) / np.where(varies.any(axis=0), varies.sum(axis=0), np.nan)
            )

    def obstacle(self, rows: Rows) -> str | None:
        """Say so where no column varies."""
        return None if rows["error"].shape[1] else "r2: the target is the same in every row"

    def differences(self, before: Rows, after: Rows) -> Floats:
        """Return what each row adds to the drop, the variance taken as known."""
        spread = before["second"].sum(axis=0) / len(before)
        lost = (after["error"] - before["error"]) / spread
        return np.asarray(lost.mean(axis=1))

    def worst(self, before: Rows, after: Rows) -> tuple[Rows, Rows]:
        """Return the row on which the second loses most, and more than that, by the tail of the differences."""
        lost = self.differences(before, after)
        row = np.array([int(lost.argmax())])
        first, second = before.take(row), after.take(row)
        more = stretch(lost) if lost.max() > 0 else 1.0
        error = first["error"] + more * (second["error"] - first["error"])
        return first, replace(second, values={**second.values, "error": error})
