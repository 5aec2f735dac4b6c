"""Evidence by resampling, for metrics that are no mean over rows: valid as the rows become many, not for every number.

BCa of Efron, JASA 82, 171 (1987), its acceleration from a jackknife over groups of rows. A resample cannot hold what
the rows do not: so one row more stands among them, on which the candidate does its worst, as the one loss more in
Clopper and Pearson's upper bound. Without it, rows on which both models agree would count as a proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from spectral_engine.measure.metrics import correct, score
from spectral_engine.recipe import HIGHER_IS_BETTER, Metric

Array = NDArray[Any]
Floats = NDArray[np.float64]
RESAMPLES = 2000
GROUPS = 100
ERRORS = {"mse", "mae", "r2"}


@dataclass(frozen=True)
class Pair:
    """Outputs of both models for the same rows, and what they should be."""

    metric: Metric
    baseline: Array
    candidate: Array
    labels: Array

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.labels)

    def drop(self, rows: Array | slice = slice(None)) -> float:
        """Return how much worse the candidate is on some rows; above 0 is worse, whatever the metric."""
        labels = self.labels[rows]
        before = score(self.metric, self.baseline[rows], labels)
        after = score(self.metric, self.candidate[rows], labels)
        return before - after if HIGHER_IS_BETTER[self.metric] else after - before


@dataclass(frozen=True)
class Resampled:
    """Drops of resamples, sorted, with BCa's two corrections."""

    drops: Floats
    bias: float
    acceleration: float

    def p_value(self, floor: float) -> float:
        """Return an approximate p-value of "the true drop is the floor or more"."""
        moved = _normal_rank(self.drops, floor) - self.bias
        scale = 1 + self.acceleration * moved
        return float(norm.cdf(self.bias - moved / scale)) if scale > 0 else 1.0


def resample(pair: Pair, seed: int) -> Resampled:
    """Return the drops of as many resamples as the bootstrap takes."""
    longer = with_worst_row(pair)
    rng = np.random.default_rng(seed)
    drops = np.sort(
        [longer.drop(rng.integers(0, longer.rows, longer.rows)) for _ in range(RESAMPLES)]
    )
    acceleration = _acceleration(longer, rng.permutation(longer.rows))
    return Resampled(drops, _normal_rank(drops, longer.drop()), acceleration)


def _normal_rank(drops: Floats, value: float) -> float:
    """Return which normal quantile a value is among the drops; ties count half, and none is infinite."""
    below = np.searchsorted(drops, value, "left")
    until = np.searchsorted(drops, value, "right")
    return float(norm.ppf(((below + until) / 2 + 0.5) / (len(drops) + 1)))


def _acceleration(pair: Pair, order: NDArray[np.int64]) -> float:
    """Return a sixth of the drop's skewness; sums over groups of rows have the same one as sums over rows."""
    groups = np.array_split(order, min(GROUPS, pair.rows))
    without = np.array([pair.drop(np.setdiff1d(order, group)) for group in groups])
    off = without.mean() - without
    spread = float((off**2).sum()) ** 1.5
    return float((off**3).sum()) / (6 * spread) if spread > 0 else 0.0


def with_worst_row(pair: Pair) -> Pair:
    """Return the pair with one row more, made of outputs and a label that were seen, the worst for the candidate."""
    before, after, label = _worst(pair)
    return Pair(
        pair.metric,
        np.concatenate([pair.baseline, pair.baseline[[before]]]),
        np.concatenate([pair.candidate, pair.candidate[[after]]]),
        np.concatenate([pair.labels, pair.labels[[label]]]),
    )


def _worst(pair: Pair) -> tuple[int, int, int]:
    """Return the rows whose baseline output, candidate output and label make up the worst row."""
    if pair.metric in ERRORS:
        worst = int(np.argmax(_errors(pair, pair.candidate) - _errors(pair, pair.baseline)))
        return worst, worst, worst
    if pair.labels.ndim > 1:
        lost = correct(pair.baseline, pair.labels) - correct(pair.candidate, pair.labels)
        return (int(lost.argmax()),) * 3
    classes, counts = np.unique(pair.labels, return_counts=True)
    rarest = int(classes[counts.argmin()])  # where one row weighs most
    surest = int(_margin(pair.baseline, rarest).argmax())
    furthest = int(_margin(pair.candidate, rarest).argmin())
    return surest, furthest, int(np.flatnonzero(pair.labels == rarest)[0])


def _errors(pair: Pair, outputs: Array) -> Floats:
    truth = pair.labels.reshape(pair.rows, -1).astype(np.float64)
    off = np.abs(outputs.reshape(truth.shape) - truth)
    return np.asarray((off if pair.metric == "mae" else off**2).mean(axis=1))


def _margin(outputs: Array, label: int) -> Floats:
    """Return how clearly each row is answered with this class [rows]."""
    flat = outputs.reshape(len(outputs), -1).astype(np.float64)
    if flat.shape[1] == 1:
        return flat[:, 0] if label > 0 else -flat[:, 0]
    others = np.delete(flat, label, axis=1)
    return np.asarray(flat[:, label] - others.max(axis=1))
