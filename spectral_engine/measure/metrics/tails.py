"""How much worse a row may be that was not seen, for metrics that nothing bounds."""

from __future__ import annotations

from math import exp

import numpy as np

from spectral_engine.measure.metrics.rows import Floats

TAIL = 0.1  # of the rows
LEAST, LARGEST_INDEX = 5, 2.0


def tail_index(differences: Floats) -> float:
    """Return Hill's estimate of the tail index ξ of |difference − median| (Annals of Statistics 3, 1975).

    From the tenth of the rows that differ most, five at least; 0 where fewer than two differ, and 2 at most: from 1 on
    even the mean of a Pareto tail is infinite.
    """
    size = np.sort(np.abs(differences - np.median(differences)))[::-1]
    size = size[size > 0]
    count = min(max(LEAST, int(TAIL * len(differences))), len(size) - 1)
    if count < 1:
        return 0.0
    return min(LARGEST_INDEX, float(np.log(size[:count] / size[count]).mean()))


def stretch(differences: Floats) -> float:
    """Return e^ξ: by so much more does one row in e · n differ than the one of n that differs most."""
    return exp(tail_index(differences))
