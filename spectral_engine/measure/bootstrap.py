"""Evidence by resampling, for metrics that are no mean over rows: valid as the rows become many, not for every number.

BCa of Efron, JASA 82, 171 (1987), its acceleration from a jackknife over groups of rows. A resample cannot hold what
the rows do not: so one row more stands among them, on which the candidate does its worst, as the one loss more in
Clopper and Pearson's upper bound. Without it, rows on which both models agree would count as a proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from spectral_engine.measure.metrics import MetricRule, Rows
from spectral_engine.measure.resampling import resampled

Floats = NDArray[np.float64]
RESAMPLES = 2000
GROUPS = 100
HEAVIEST = 0.2  # of the summed difference that one row may carry
MOST_UNDEFINED = 0.5  # of the resamples


@dataclass(frozen=True)
class Pair:
    """What a metric keeps of the same rows under the baseline and under a candidate."""

    rule: MetricRule
    before: Rows
    after: Rows

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.before)

    def take(self, indices: NDArray[np.int64]) -> Pair:
        """Return these rows of both."""
        return Pair(self.rule, self.before.take(indices), self.after.take(indices))

    def drop(self) -> float:
        """Return how much worse the candidate is; above 0 is worse, whatever the metric.

        Raises DatasetMismatch where the metric is not defined on these rows.
        """
        found = self.rows and float(self.drops(np.ones((self.rows, 1)))[0])
        if not self.rows or not np.isfinite(found):
            raise self.rule.undefined(self.before)
        return found

    def drops(self, weights: Floats) -> Floats:
        """Return the drop of every resample [resamples]; `weights` [rows, resamples] says what is in it."""
        lost = self.rule.values(self.before, weights) - self.rule.values(self.after, weights)
        return lost if self.rule.higher_is_better else -lost


@dataclass(frozen=True)
class Resampled:
    """Drops of resamples, sorted, with BCa's two corrections; and what few rows carry, where they carry it."""

    drops: Floats
    bias: float
    acceleration: float
    heavy: HeavyTail | None = None

    def p_value(self, floor: float) -> float:
        """Return an approximate p-value of "the true drop is the floor or more"."""
        if not len(self.drops):
            return 1.0
        moved = _normal_rank(self.drops, floor) - self.bias
        scale = 1 + self.acceleration * moved
        found = float(norm.cdf(self.bias - moved / scale)) if scale > 0 else 1.0
        return found if self.heavy is None else max(found, self.heavy.p_value(floor))

    @property
    def highest(self) -> float:
        """A floor that is surely shown."""
        most = float(self.drops[-1]) if len(self.drops) else float("inf")
        return most if self.heavy is None else max(most, self.heavy.highest)


def resample(pair: Pair, seed: int) -> Resampled:
    """Return the drops of as many resamples as the bootstrap takes, of those in which the metric is defined."""
    longer = with_worst_row(pair)
    rng = np.random.default_rng(seed)
    drops = np.sort(resampled(longer.drops, longer.rows, RESAMPLES, rng))
    drops = drops[np.isfinite(drops)]
    if len(drops) < (1 - MOST_UNDEFINED) * RESAMPLES:
        return Resampled(np.empty(0), 0.0, 0.0)
    acceleration = _acceleration(longer, rng.permutation(longer.rows))
    return Resampled(drops, _normal_rank(drops, longer.drop()), acceleration, heavy_tail(longer))


def _normal_rank(drops: Floats, value: float) -> float:
    """Return which normal quantile a value is among the drops; ties count half, and none is infinite."""
    below = np.searchsorted(drops, value, "left")
    until = np.searchsorted(drops, value, "right")
    return float(norm.ppf(((below + until) / 2 + 0.5) / (len(drops) + 1)))


def _acceleration(pair: Pair, order: NDArray[np.int64]) -> float:
    """Return a sixth of the drop's skewness; sums over groups of rows have the same one as sums over rows."""
    groups = np.array_split(order, min(GROUPS, pair.rows))
    weights = np.ones((pair.rows, len(groups)))
    for column, group in enumerate(groups):
        weights[group, column] = 0.0
    without = pair.drops(weights)
    without = without[np.isfinite(without)]
    off = without.mean() - without if len(without) else without
    spread = float((off**2).sum()) ** 1.5
    return float((off**3).sum()) / (6 * spread) if spread > 0 else 0.0


def with_worst_row(pair: Pair) -> Pair:
    """Return the pair with one row more, the worst for the candidate among what was seen."""
    before, after = pair.rule.worst(pair.before, pair.after)
    return Pair(pair.rule, pair.before.with_row(before), pair.after.with_row(after))


@dataclass(frozen=True)
class HeavyTail:
    """Student's t of the mean difference, with the degrees of freedom of the rows that carry it.

    Where few rows make up what all rows differ by, resamples know too little of rows that were not seen. As many rows
    with equal differences as have the same Σd² for the same (Σ|d|)² take the place of the number of rows.
    """

    mean: float
    error: float
    freedom: float

    def p_value(self, floor: float) -> float:
        """Return the p-value of "the mean is the floor or more"."""
        return float(t.cdf((self.mean - floor) / self.error, self.freedom))

    @property
    def highest(self) -> float:
        """A floor that is surely shown, at any level that is asked for."""
        return float(self.mean + self.error * t.isf(1e-6, self.freedom))


def heavy_tail(pair: Pair) -> HeavyTail | None:
    """Return what to add to the bootstrap where one row carries too much of the difference, else None."""
    found = pair.rule.differences(pair.before, pair.after)
    if found is None or not np.any(found):
        return None
    size = np.abs(found)
    if size.max() <= HEAVIEST * size.sum():
        return None
    carrying = float(size.sum() ** 2 / (size**2).sum())
    error = float(found.std(ddof=1)) / sqrt(len(found)) if len(found) > 1 else float("inf")
    return HeavyTail(float(found.mean()), error, max(1.0, carrying - 1))
