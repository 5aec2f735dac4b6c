"""Evidence by resampling, for metrics that are no mean over rows: valid as the rows become many, not for every number.

BCa of Efron, JASA 82, 171 (1987), its acceleration from a jackknife over groups of rows. A resample cannot hold what
the rows do not: so one row more stands among them, on which the candidate does its worst, as the one loss more in
Clopper and Pearson's upper bound. Without it, rows on which both models agree would count as a proof. Where nothing
bounds what a row may lose, that row loses more than the worst that was seen, by the tail of the differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from spectral_engine.measure.metrics import MetricRule, Rows
from spectral_engine.measure.resampling import resampled

Floats = NDArray[np.float64]
RESAMPLES = 2000
GROUPS = 100
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
        drop = self.rows and float(self.drops(np.ones((self.rows, 1)))[0])
        if not self.rows or not np.isfinite(drop):
            raise self.rule.undefined(self.before)
        return drop

    def drops(self, weights: Floats) -> Floats:
        """Return the drop of every resample [resamples]; `weights` [rows, resamples] says what is in it."""
        lost = self.rule.values(self.before, weights) - self.rule.values(self.after, weights)
        return lost if self.rule.higher_is_better else -lost


@dataclass(frozen=True)
class Resampled:
    """Drops of resamples, sorted, with BCa's two corrections."""

    drops: Floats
    bias: float
    acceleration: float

    def p_value(self, floor: float) -> float:
        """Return an approximate p-value of "the true drop is the floor or more"."""
        if not len(self.drops):
            return 1.0
        moved = _normal_rank(self.drops, floor) - self.bias
        scale = 1 + self.acceleration * moved
        return float(ndtr(self.bias - moved / scale)) if scale > 0 else 1.0

    @property
    def highest(self) -> float:
        """A floor that is surely shown."""
        return float(self.drops[-1]) if len(self.drops) else float("inf")


def resample(pair: Pair, seed: int) -> Resampled:
    """Return the drops of as many resamples as the bootstrap takes, of those in which the metric is defined."""
    longer = with_worst_row(pair)
    rng = np.random.default_rng(seed)
    drops = np.sort(resampled(longer.drops, longer.rows, RESAMPLES, rng))
    drops = drops[np.isfinite(drops)]
    if len(drops) < (1 - MOST_UNDEFINED) * RESAMPLES:
        return Resampled(np.empty(0), 0.0, 0.0)
    acceleration = _acceleration(longer, rng.permutation(longer.rows))
    return Resampled(drops, _normal_rank(drops, longer.drop()), acceleration)


def _normal_rank(drops: Floats, value: float) -> float:
    """Return which normal quantile a value is among the drops; ties count half, and none is infinite."""
    below = np.searchsorted(drops, value, "left")
    until = np.searchsorted(drops, value, "right")
    return float(ndtri(((below + until) / 2 + 0.5) / (len(drops) + 1)))


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


def heaviest_share(pair: Pair) -> float:
    """Return how much of the summed difference one row carries; 0 for metrics whose rows have bounds."""
    differences = pair.rule.differences(pair.before, pair.after)
    if differences is None or not np.any(differences):
        return 0.0
    return float(np.abs(differences).max() / np.abs(differences).sum())
