"""What held-out rows say against a true drop above the floor: a one-sided p-value and an upper bound.

The strongest test that is valid for the metric: exact where a row is right or wrong, by betting where a row is right by
a share, and by resampling, which is asymptotic, where the metric is no ratio of what rows hold or nothing bounds it.
docs/decisions/0004 has the comparison, benchmarks/certificate the simulation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil, log, log10, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from spectral_engine.measure import betting, paired_answers
from spectral_engine.measure.bootstrap import RESAMPLES, Pair, heaviest_share, resample
from spectral_engine.measure.paired_answers import Counts

Floats = NDArray[np.float64]
POWER = 0.8  # with so many rows as are said to be needed
PRECISION = 1e-6
# Of the search for the bound; the first step shrinks with the root of the rows, as the distance to the bound does.
FIRST_STEP, GROWTH = 0.25, 4.0
HEAVIEST = 0.2  # of the summed difference that one row may carry without a word


@dataclass(frozen=True)
class Evidence:
    """`p_value` is of "the true drop is the floor or more"; `upper_bound` is the smallest floor that the rows show."""

    p_value: float
    upper_bound: float
    method: str
    asymptotic: bool


@dataclass(frozen=True)
class Test:
    """A p-value for every floor, how it is computed, and a floor that no drop exceeds."""

    p_value: Callable[[float], float]
    method: str
    highest: float = 1.0
    asymptotic: bool = False


def weigh(pair: Pair, *, floor: float, confidence: float, seed: int) -> Evidence:
    """Return what the rows say; the same rows in another order say the same, but for the last digits of a bet.

    Raises DatasetMismatch where the metric is not defined on these rows.
    """
    # Null hypothesis: the true drop is `floor` or more. A p-value of at most `level` rejects it, and is right about a
    # model that lost more in at least `confidence` of all draws of the held-out rows.
    level = 1 - confidence
    drop = pair.drop()
    test = _test(pair, level, seed)
    p_value = test.p_value(floor)
    bound = _upper_bound(test, floor, p_value, level, drop, FIRST_STEP / sqrt(pair.rows))
    return Evidence(p_value, bound, test.method, test.asymptotic)


def rows_needed(rows: int, drop: float, upper_bound: float, floor: float, confidence: float) -> int:
    """Return about how many rows would show the floor four times in five, if the drop stays as measured.

    The distance from the drop to its bound falls with the root of the rows; with the rows themselves where next to
    none of them tells the models apart. Two digits are given; no more are known.
    """
    # `reach` is how far the bound lies above the drop with these rows, `room` how far it may.
    reach, room = upper_bound - drop, floor - drop
    # A reach of -log(level) / n is what n rows show of which none tells the models apart: the rule of three
    # (Hanley & Lippman-Hand, JAMA 249, 1743 (1983)). There it falls with the rows.
    if reach <= -log(1 - confidence) / rows:
        needed = rows * reach / room
    else:
        # Elsewhere with their root; and the drop that new rows show varies, so that a power of one half would be all
        # that a reach of just `room` gives: (z_confidence + z_power) / z_confidence more are asked for.
        quantile = float(ndtri(confidence))
        needed = rows * (reach * (1 + float(ndtri(POWER)) / quantile) / room) ** 2
    digit: int = 10 ** max(0, int(log10(max(1.0, needed))) - 1)
    return max(rows + 1, ceil(needed / digit) * digit)


def _test(pair: Pair, level: float, seed: int) -> Test:
    # What each row adds to the metric's numerator and denominator [rows], where the metric is such a ratio and each
    # part is bounded: then nothing has to be assumed of how the rows are distributed.
    before, after = pair.rule.parts(pair.before), pair.rule.parts(pair.after)
    if before is None or after is None:
        resampled_drops = resample(pair, seed)
        method = f"BCa bootstrap, {RESAMPLES} resamples: valid for many rows only"
        share = heaviest_share(pair)
        if share > HEAVIEST:
            method += f"; one row carries {share:.0%} of the difference: rows that were not seen may lose more"
        return Test(resampled_drops.p_value, method, resampled_drops.highest, asymptotic=True)
    if pair.before.one_answer:
        return _paired(pair, before[0] > after[0], before[0] < after[0], level)
    # A bet is a martingale over rows that come in random order; a file may be sorted by class.
    order = np.random.default_rng(seed).permutation(pair.rows)
    drops, weights = (before[0] - after[0])[order], before[1][order]
    return Test(
        lambda floor: betting.p_value(drops, floor, level, weights), "betting on paired rows"
    )


def _paired(pair: Pair, lost: NDArray[np.bool_], gained: NDArray[np.bool_], level: float) -> Test:
    # Rows on which both are right, or both wrong, say nothing of the difference (McNemar 1947): two counts are enough.
    counts = Counts(pair.rows, int(lost.sum()), int(gained.sum()))
    if pair.rule.against_original:  # the baseline always agrees with itself
        one_sided = paired_answers.one_sided_p_value
        return Test(lambda floor: one_sided(counts, floor), "exact binomial test")
    return Test(
        lambda floor: paired_answers.p_value(counts, floor, level),
        "exact unconditional test of paired answers",
    )


def _upper_bound(
    test: Test, floor: float, p_value: float, level: float, drop: float, step: float
) -> float:
    """Return the smallest floor that the rows show, searched on the side of `floor` where it must be.

    Each p-value takes its time: from the drop on, in steps that grow from `step`, the search is fenced in first.
    """
    # The p-value falls as the floor rises: the bound lies below a floor that is shown, and above one that is not.
    shown = p_value <= level
    low, high = (min(drop, floor), floor) if shown else (floor, max(floor, test.highest))

    @cache
    def above(value: float) -> float:
        return (p_value if value == floor else test.p_value(value)) - level

    if above(low) <= 0:
        return low
    while (fence := max(drop, low) + step) < high:
        if above(fence) <= 0:
            high = fence
            break
        low, step = fence, GROWTH * step
    if above(high) > 0:
        return high
    from scipy.optimize import brentq  # loads for longer than most jobs need

    return float(brentq(above, low, high, xtol=PRECISION))
