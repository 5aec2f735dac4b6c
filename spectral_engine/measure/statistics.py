"""How sure a measured figure is: intervals of a metric, and of the difference of two models on the same rows."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from spectral_engine.measure.bootstrap import Pair
from spectral_engine.measure.metrics import MetricRule, Rows
from spectral_engine.measure.resampling import resampled
from spectral_engine.records.report import Drop, Interval

RESAMPLES = 1000


def wilson(successes: float, rows: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion (JASA 22, 1927)."""
    z = float(ndtri(0.5 + confidence / 2))
    share = successes / rows
    centre = share + z * z / (2 * rows)
    reach = z * sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    scale = 1 + z * z / rows
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)


def paired_proportions(
    baseline: NDArray[np.float64], candidate: NDArray[np.float64], confidence: float
) -> tuple[float, float]:
    """Return Newcombe's interval of the difference of two paired proportions, baseline − candidate.

    Method 10 of Newcombe, Statistics in Medicine 17, 2635 (1998): Wilson intervals of both, put together with
    their correlation. Each entry of `baseline` and `candidate` [rows] is 1 for a right answer.
    """
    rows = len(baseline)
    p1, p2 = float(baseline.mean()), float(candidate.mean())
    low1, high1 = wilson(p1 * rows, rows, confidence)
    low2, high2 = wilson(p2 * rows, rows, confidence)
    phi = _correlation(baseline, candidate)
    down, up = p1 - low1, high1 - p1
    down2, up2 = p2 - low2, high2 - p2
    below = sqrt(max(0.0, down**2 - 2 * phi * down * up2 + up2**2))
    above = sqrt(max(0.0, up**2 - 2 * phi * up * down2 + down2**2))
    return p1 - p2 - below, p1 - p2 + above


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Return φ of the two-by-two table, corrected for continuity as Newcombe proposes."""
    rows = len(left)
    both, neither = float((left * right).sum()), float(((1 - left) * (1 - right)).sum())
    first, second = float((left * (1 - right)).sum()), float(((1 - left) * right).sum())
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    if margins == 0:
        return 0.0
    cross = both * neither - first * second
    if cross > 0:
        cross = max(cross - rows / 2, 0.0)
    return cross / sqrt(margins)


def metric_interval(rule: MetricRule, rows: Rows, *, confidence: float, seed: int) -> Interval:
    """Return the interval of one model's metric: Wilson's where a row is right or wrong, else of the bootstrap.

    Raises DatasetMismatch where the metric is not defined on these rows.
    """
    if not np.isfinite(rule.value(rows)):
        raise rule.undefined(rows)
    right = rule.shares(rows) if rows.one_answer else None
    if right is not None:
        low, high = wilson(float(right.sum()), len(right), confidence)
    else:
        rng = np.random.default_rng(seed)
        resamples = resampled(lambda w: rule.values(rows, w), len(rows), RESAMPLES, rng)
        low, high = _quantiles(resamples, confidence)
    return Interval(low=low, high=high, confidence=confidence)


def paired_drop(
    rule: MetricRule, before: Rows, after: Rows, *, confidence: float, seed: int
) -> Drop:
    """Return how much worse the second model is than the first, on the same rows.

    Above 0 is worse, also for metrics that fall as models get better.
    """
    pair = Pair(rule, before, after)
    right = (rule.shares(before), rule.shares(after)) if before.one_answer else (None, None)
    if right[0] is not None and right[1] is not None:
        low, high = paired_proportions(right[0], right[1], confidence)
        method = "Newcombe's method 10 for paired proportions"
    else:
        rng = np.random.default_rng(seed)
        low, high = _quantiles(resampled(pair.drops, pair.rows, RESAMPLES, rng), confidence)
        method = f"paired bootstrap, {RESAMPLES} resamples"
    interval = Interval(low=low, high=high, confidence=confidence)
    return Drop(value=pair.drop(), interval=interval, method=method)


def _quantiles(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Return both ends, over the resamples in which the metric is defined."""
    low, high = np.nanquantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)
