"""Which bodies of If the rows of a data set take: what none takes would be cut without a word from the data."""

from __future__ import annotations

import numpy as np
import torch

from spectral_engine.data import Split
from spectral_engine.graph.bodies import BodyKey, graphs_of, is_if
from spectral_engine.graph.module import OnnxModule

MOST_ROWS = 512
AT_ONCE = 64


def untaken(module: OnnxModule, rows: Split) -> frozenset[BodyKey]:
    """Return the bodies that none of the first rows takes."""
    conditions = {node.name: node.input(0) for node in module.nodes if is_if(node)}
    bodies = {body for node in module.nodes if is_if(node) for body in graphs_of(node)}
    if not bodies:
        return frozenset()
    taken: set[BodyKey] = set()
    for start in range(0, min(rows.rows, MOST_ROWS), AT_ONCE):
        some = rows.take(np.arange(start, min(start + AT_ONCE, rows.rows)))
        inputs = {n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in some.arrays.items()}
        with torch.no_grad():
            computed = module.compute(inputs, watch=set(conditions.values()))
        for name, condition in conditions.items():
            taken |= {(name, _branch(bool(value))) for value in computed[condition].reshape(-1)}
    return frozenset(bodies - taken)


def _branch(condition: bool) -> str:
    return "then_branch" if condition else "else_branch"
