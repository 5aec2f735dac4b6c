"""Non-maximum suppression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
OVERLAP = 0.7  # from which the weaker box of a class goes


def survivors(boxes: Floats, kinds: NDArray[Any], most: int) -> NDArray[np.int64]:
    """Return which boxes, sorted from the surest on, no surer one of their class overlaps too much."""
    area = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0).prod(axis=1)
    left = np.arange(len(boxes))
    kept: list[int] = []
    while len(left) and len(kept) < most:
        best, left = int(left[0]), left[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[left, :2])
        high = np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = np.maximum(high - low, 0.0).prod(axis=1)
        union = area[best] + area[left] - shared
        apart = (kinds[left] != kinds[best]) | (shared <= OVERLAP * union)
        left = left[apart]
    return np.array(kept, dtype=np.int64)
