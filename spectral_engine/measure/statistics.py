"""How sure a measured figure is: intervals of a metric, and of the difference of two models on the same rows."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from spectral_engine.measure.metrics import agrees, correct, score
from spectral_engine.recipe import HIGHER_IS_BETTER, Metric
from spectral_engine.report.schema import Drop, Interval

Array = NDArray[Any]
RESAMPLES = 1000


def wilson(successes: float, rows: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion (JASA 22, 1927)."""
    z = float(norm.ppf(0.5 + confidence / 2))
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


def metric_interval(
    metric: Metric, outputs: Array, labels: Array, *, confidence: float, seed: int
) -> Interval:
    """Return the interval of one model's metric on these rows."""
    right = _per_row(metric, outputs, labels)
    if right is not None:
        low, high = wilson(float(right.sum()), len(right), confidence)
    else:
        rows = _resamples(len(labels), seed)
        found = np.array([score(metric, outputs[r], labels[r]) for r in rows])
        low, high = _quantiles(found, confidence)
    return Interval(low=low, high=high, confidence=confidence)


def paired_drop(
    metric: Metric,
    baseline: Array,
    candidate: Array,
    labels: Array,
    *,
    confidence: float,
    seed: int,
) -> Drop:
    """Return how much worse the candidate's outputs are than the baseline's, on the same rows.

    Above 0 is worse, also for metrics that fall as models get better.
    """
    sign = 1.0 if HIGHER_IS_BETTER[metric] else -1.0
    value = sign * (score(metric, baseline, labels) - score(metric, candidate, labels))
    before, after = _per_row(metric, baseline, labels), _per_row(metric, candidate, labels)
    if before is not None and after is not None:
        low, high = paired_proportions(before, after, confidence)
        method = "Newcombe's method 10 for paired proportions"
    else:
        low, high = _bootstrap_drop(metric, baseline, candidate, labels, confidence, seed, sign)
        method = f"paired bootstrap, {RESAMPLES} resamples"
    return Drop(
        value=value, interval=Interval(low=low, high=high, confidence=confidence), method=method
    )


def _bootstrap_drop(
    metric: Metric,
    baseline: Array,
    candidate: Array,
    labels: Array,
    confidence: float,
    seed: int,
    sign: float,
) -> tuple[float, float]:
    drops = [
        sign * (score(metric, baseline[r], labels[r]) - score(metric, candidate[r], labels[r]))
        for r in _resamples(len(labels), seed)
    ]
    return _quantiles(np.array(drops), confidence)


def _per_row(metric: Metric, outputs: Array, labels: Array) -> NDArray[np.float64] | None:
    """Return right and wrong by row, where the metric is their mean."""
    if metric == "accuracy" and labels.ndim == 1:
        return correct(outputs, labels)
    if metric == "agreement":
        return agrees(outputs, labels)
    return None


def _resamples(rows: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, rows, size=(RESAMPLES, rows))


def _quantiles(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)
