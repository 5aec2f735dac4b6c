"""Evidence from rows whose values are bounded but not counts, as the share of right labels of each row.

A gambler bets, row after row, that the mean of the drops is below the floor; were it not, his capital would on average
not grow, and by Ville's inequality ever reach 1 / level with a chance of at most the level. The stakes follow what was
seen before: the predictable plug-in of Waudby-Smith & Ramdas, JRSS B 86, 1 (2024), section 4.2. Valid for every n.
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BOLDEST = 0.9  # of the stake that one row could lose whole
FIRST_VARIANCE = 0.25


def p_value(drops: Floats, floor: float, level: float, weights: Floats | float = 1.0) -> float:
    """Return a p-value of "the sum of these drops is the floor times the sum of their weights, or more".

    A drop is in [−weight, weight], a weight in [0, 1]: of a row that counts for less than others, less can be lost.
    The order of the rows counts: it must be random. The stakes are best where the p-value comes out near the level.
    """
    bold = BOLDEST / (1 - min(floor, 0.0))
    stakes = np.minimum(_stakes(drops, level), bold)
    growth = np.cumsum(np.log1p(stakes * (floor * weights - drops)))
    return float(np.exp(-max(0.0, growth.max())))


def _stakes(drops: Floats, level: float) -> Floats:
    """Return what is staked on each row, by the spread of those before it."""
    rows = len(drops)
    seen = np.arange(1, rows + 1)
    means = np.cumsum(drops) / (seen + 1)
    spread = (FIRST_VARIANCE + np.cumsum((drops - means) ** 2)) / (seen + 1)
    before = np.concatenate([[FIRST_VARIANCE], spread[:-1]])
    return np.asarray(np.sqrt(2 * log(1 / level) / (rows * before)))
