"""Deletion curves: how the metric falls when features go in the order of their relevance, or alone stay.

After Samek et al., "Evaluating the visualization of what a deep neural network has learned" (2017), with the training
mean in place of what is removed.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.input_relevance.start import Case

LEVELS = 20
MOST_ROWS = 4000


@dataclass(frozen=True)
class Areas:
    """Areas under two curves over the share of features; 1 is the whole model's metric, 0 that of the means alone.

    `removed` takes the most relevant first (small is good), `kept` leaves the most relevant alone (large is good).
    """

    removed: float
    kept: float


def areas(case: Case, relevance: Tensor, rows: tuple[np.ndarray, np.ndarray]) -> Areas:
    """Return both areas of one ranking on these rows."""
    order = relevance.argsort(descending=True, stable=True)
    counts = np.unique(np.linspace(0, case.features, LEVELS + 1).round().astype(int))
    gone, alone = (
        _curve(case, [_mask(order, int(count), keep) for count in counts], rows)
        for keep in (False, True)
    )
    top, floor = alone[-1], alone[0]
    shares = counts / case.features
    return Areas(*(_area(shares, (curve - floor) / (top - floor)) for curve in (gone, alone)))


def _mask(order: Tensor, count: int, keep: bool) -> Tensor:
    """Return which features stay [features]: the first `count` of the order, or all others."""
    mask = torch.full((len(order),), not keep)
    mask[order[:count]] = keep
    return mask


@torch.no_grad()
def _curve(case: Case, masks: list[Tensor], rows: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    x, labels = torch.from_numpy(rows[0][:MOST_ROWS]), rows[1][:MOST_ROWS]
    outputs = (case.answers(torch.where(mask, x, case.means)) for mask in masks)
    return np.array([case.metric(output.numpy(), labels) for output in outputs])


def _area(shares: np.ndarray, curve: np.ndarray) -> float:
    """Return the area by trapezoids; what is worse than the means alone counts as 0."""
    return float(np.trapezoid(curve.clip(min=0), shares))
