"""Chance: what every other score must beat."""

from __future__ import annotations

import numpy as np

from spectral_engine.records.score import SCORES
from spectral_engine.spectral.node_view import Floats, NodeView
from spectral_engine.spectral.score import Score


def rank(nodes: NodeView, _: Floats | None) -> Floats:
    """Return numbers drawn by the job's seed."""
    return np.random.default_rng(nodes.seed).random(nodes.count)


SCORES.register("random", Score(rank))
