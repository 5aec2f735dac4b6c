"""Exact evidence from paired answers: how often the candidate lost a right answer, and how often it gained one.

Of n rows the candidate loses b (the baseline alone is right) and gains c; the true drop is the difference of both
chances. All that is not the drop itself is one nuisance, the chance of a gain. The p-value is the largest chance,
over that nuisance, of rows that speak as strongly against a drop at the floor: the unconditional test of Barnard
(Biometrika 34, 1947), with Tango's score statistic for paired shares (Statistics in Medicine 17, 1998) as the order,
and the nuisance searched where a confidence interval lets it be (Berger & Boos, JASA 89, 1994). Valid for every n,
and of the tests that are, nearly the most powerful; the order of the rows does not matter.

`scipy.stats` is loaded where a chance is asked for: it takes longer than all else here together.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

Floats = NDArray[np.float64]
SEARCHED_SHARES = 100
SLACK = 0.01  # of the level, spent on the interval of the nuisance
TAIL = 1e-12  # what is left out on either side when lost answers are summed over
NEGLIGIBLE = 1e-14
TIES = 1e-9


@dataclass(frozen=True)
class Counts:
    """Rows in all, rows where the baseline alone is right, rows where the candidate alone is."""

    rows: int
    lost: int
    gained: int


def p_value(counts: Counts, floor: float, level: float) -> float:
    """Return a p-value of "the true drop is the floor or more", to be compared with this level."""
    slack = SLACK * level
    low, high = _gain_interval(counts, slack)
    high = min(high, (1 - floor) / 2)
    if low > high:
        return slack
    gains = np.linspace(low, high, SEARCHED_SHARES)
    return min(1.0, slack + float(_chances(counts, floor, gains).max()))


def one_sided_p_value(counts: Counts, floor: float) -> float:
    """Return the binomial p-value for answers that can be lost but not gained, as in agreement with the baseline."""
    from scipy.stats import binom

    return float(binom.cdf(counts.lost, counts.rows, min(1.0, max(0.0, floor))))


def _gain_interval(counts: Counts, slack: float) -> tuple[float, float]:
    """Return Clopper and Pearson's interval of the chance of a gain (Biometrika 26, 1934)."""
    from scipy.stats import beta

    gained, others = counts.gained, counts.rows - counts.gained
    low = float(beta.ppf(slack / 2, gained, others + 1)) if gained else 0.0
    high = float(beta.isf(slack / 2, gained + 1, others)) if others else 1.0
    return low, high


def _chances(counts: Counts, floor: float, gains: Floats) -> Floats:
    """Return, for each chance of a gain, that of rows which speak as strongly as these, at a drop of `floor`."""
    from scipy.stats import binom

    rows, losses = counts.rows, np.maximum(gains + floor, 0.0)
    first = np.maximum(binom.ppf(TAIL, rows, losses), 0)
    last = np.maximum(binom.isf(TAIL, rows, losses), 0)
    lost = np.arange(int(first[0]), int(last[-1]) + 1)
    least = _least_gained(counts, floor, lost)
    share = np.divide(gains, 1 - losses, out=np.ones_like(gains), where=losses < 1)
    # Only what is likely enough at each chance of a gain: of [gains, lost] mostly a band.
    gain, loss = np.nonzero((lost >= first[:, None]) & (lost <= last[:, None]))
    lost_chance = binom.pmf(lost[loss], rows, losses[gain])
    gained_chance = _at_least(least[loss], rows - lost[loss], share[gain])
    chances = np.bincount(gain, lost_chance * gained_chance, minlength=len(gains))
    return chances.astype(np.float64)


def _least_gained(counts: Counts, floor: float, lost: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many gains it takes, beside so many losses, to speak as strongly as what was counted."""
    rows, seen = counts.rows, np.array([counts.lost])
    limit = score(rows, seen, np.array([counts.gained]), floor)[0] - TIES
    low, high = np.full(len(lost), -1), rows - lost + 1  # never enough, surely enough or impossible
    while (high - low > 1).any():
        middle = (low + high) // 2
        enough = score(rows, lost, middle, floor) >= limit
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(high)


def score(rows: int, lost: NDArray[np.int64], gained: NDArray[np.int64], floor: float) -> Floats:
    """Return Tango's statistic: how far below the floor the drop is, in its standard errors at the floor.

    Falls with every loss and rises with every gain.
    """
    apart, differing = lost - gained, lost + gained
    linear = differing + apart * floor - 2 * rows * floor
    square = linear**2 + 8 * rows * gained * floor * (1 - floor)
    gain = (linear + np.sqrt(np.maximum(square, 0.0))) / (4 * rows)  # likeliest at the floor
    variance = np.maximum(2 * np.maximum(gain, 0.0) + floor - floor**2, 0.0)
    distance = floor - apart / rows
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = distance / np.sqrt(variance / rows)
    return np.where(distance == 0, 0.0, statistic)


def _at_least(least: NDArray[np.int64], rows: NDArray[np.int64], share: Floats) -> Floats:
    """Return the chance of at least so many of these rows, each with this share.

    Where Bernstein's inequality says that it is 0 or 1 but for `NEGLIGIBLE`, it is not worked out.
    """
    share = np.clip(share, 0.0, 1.0)
    expected = rows * share
    away = np.abs(least - expected)
    sure = away**2 > -2 * log(NEGLIGIBLE) * (expected * (1 - share) + away / 3)
    open_ = (least > 0) & (least <= rows) & ~sure
    chance = ((least <= 0) | ((least <= rows) & (least < expected))).astype(np.float64)
    chance[open_] = betainc(least[open_], rows[open_] - least[open_] + 1, share[open_])
    return chance
