"""Metrics that are a sum over counted places, divided by their number: the mean of what every place says."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spectral_engine.measure.metrics.base import Form, MetricRule
from spectral_engine.measure.metrics.rows import Array, Floats, Rows, flat
from spectral_engine.measure.metrics.tails import stretch


class Ratio(MetricRule):
    """`sum` and `weight` of every row, both over the number of its places: a row of ten pixels may count for three."""

    bounded: ClassVar[bool] = False  # every place says something in [0, 1]

    @abstractmethod
    def places(self, answers: Array, labels: Array, form: Form) -> tuple[Array, NDArray[np.bool_]]:
        """Return what every place says, and whether it counts, both [rows, places…]."""

    def rows(self, answers: Array, labels: Array, form: Form) -> Rows:
        """Return the share of places that count, and the sum of what they say over the number of places."""
        said, counted = self.places(answers, labels, form)
        said, counted = flat(said), flat(counted)
        kept = np.flatnonzero(counted.any(axis=1))
        return ratio_rows(
            np.where(counted, said, 0.0).astype(np.float64).mean(axis=1)[kept],
            counted.mean(axis=1)[kept],
            dropped=len(counted) - len(kept),
            one_answer=counted.shape[1] == 1,
        )

    def values(self, rows: Rows, weights: Floats) -> Floats:
        """Return the ratio of both sums."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((rows["sum"] @ weights) / (rows["weight"] @ weights))

    def parts(self, rows: Rows) -> tuple[Floats, Floats] | None:
        """Return both columns, where places say something in [0, 1]."""
        return (rows["sum"], rows["weight"]) if self.bounded else None

    def differences(self, before: Rows, after: Rows) -> Floats | None:
        """Return by how much the second does worse, row by row, where nothing bounds it."""
        if self.bounded:
            return None
        sign = 1.0 if self.higher_is_better else -1.0
        drop = sign * (self.value(before) - self.value(after))
        lost = sign * (before["sum"] - after["sum"]) - drop * before["weight"]
        return np.asarray(drop + lost / before["weight"].mean())  # the ratio's linearisation

    def worst(self, before: Rows, after: Rows) -> tuple[Rows, Rows]:
        """Return the row on which the second loses most; more than that, where nothing bounds it."""
        sign = 1.0 if self.higher_is_better else -1.0
        row = np.array([int(np.argmax(sign * (before["sum"] - after["sum"])))])
        first, second = before.take(row), after.take(row)
        lost, differences = first["sum"] - second["sum"], self.differences(before, after)
        if differences is None or sign * lost[0] <= 0:
            return first, second
        total = first["sum"] - stretch(differences) * lost
        return first, ratio_rows(total, second["weight"])


def ratio_rows(total: Floats, weight: Any, *, dropped: int = 0, one_answer: bool = False) -> Rows:
    """Return the rows of a ratio."""
    weight = np.broadcast_to(np.asarray(weight, dtype=np.float64), total.shape)
    return Rows({"sum": total, "weight": weight}, dropped, one_answer)
