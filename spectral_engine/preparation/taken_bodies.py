"""Which bodies of If the rows of a data set take: what none takes would be cut without a word from the data."""

from __future__ import annotations

import numpy as np
import torch

from spectral_engine.data import Split
from spectral_engine.graph.bodies import BodyKey, keyed_bodies
from spectral_engine.graph.module import OnnxModule

MOST_ROWS = 512
AT_ONCE = 64


def untaken(module: OnnxModule, rows: Split) -> frozenset[BodyKey]:
    """Return the bodies that none of the first rows takes."""
    keys = {key for key, _ in keyed_bodies(module.nodes)}
    if not keys:
        return frozenset()
    with torch.no_grad(), module.noting_bodies() as taken:
        for start in range(0, min(rows.rows, MOST_ROWS), AT_ONCE):
            some = rows.take(np.arange(start, min(start + AT_ONCE, rows.rows)))
            module.compute(
                {n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in some.arrays.items()}
            )
    return frozenset(keys - taken)
