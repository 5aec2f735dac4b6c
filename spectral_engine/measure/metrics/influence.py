"""Which row speaks most for the first of two models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectral_engine.measure.metrics.base import MetricRule
from spectral_engine.measure.metrics.rows import Rows

CELLS = 4_000_000  # of the weights that are held at once
TOLERANCE = 1e-12


def most_lost(rule: MetricRule, before: Rows, after: Rows) -> NDArray[np.int64] | None:
    """Return the index [1] of the row that, were it there twice, would raise the drop most; None where none would."""
    rows = len(before)
    step = max(1, CELLS // rows)
    drops = []
    for start in range(0, rows, step):
        weights = np.ones((rows, min(step, rows - start)))
        weights[np.arange(start, start + weights.shape[1]), np.arange(weights.shape[1])] += 1.0
        drops.append(rule.values(before, weights) - rule.values(after, weights))
    whole = rule.value(before) - rule.value(after)
    raised = (np.concatenate(drops) - whole) * (1.0 if rule.higher_is_better else -1.0)
    row = int(np.nan_to_num(raised, nan=-np.inf).argmax())
    return np.array([row]) if raised[row] > TOLERANCE else None
