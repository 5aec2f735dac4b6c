"""Which row speaks most for the first of two models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectral_engine.measure.metrics.base import MetricRule
from spectral_engine.measure.metrics.rows import Floats, Rows

TRIED = 100  # rows, of those that seem to have lost most
TOLERANCE = 1e-12


def most_lost(
    rule: MetricRule, before: Rows, after: Rows, lost: Floats
) -> NDArray[np.int64] | None:
    """Return the index [1] of the row that, were it there twice, would raise the drop most; None where none would.

    `lost` [rows] is a rough measure of it, by which rows are chosen to be tried.
    """
    tried = np.argsort(-lost, kind="stable")[:TRIED]
    weights = np.ones((len(before), len(tried) + 1))
    weights[tried, np.arange(len(tried))] += 1.0
    drops = rule.values(before, weights) - rule.values(after, weights)
    raised = (drops[:-1] - drops[-1]) * (1.0 if rule.higher_is_better else -1.0)
    best = int(np.nan_to_num(raised, nan=-np.inf).argmax())
    return tried[[best]] if raised[best] > TOLERANCE else None
