"""L2 norm of the incoming weights."""

from __future__ import annotations

from spectral_engine.records.score import SCORES
from spectral_engine.spectral.node_view import Floats, NodeView
from spectral_engine.spectral.score import Score


def rank(nodes: NodeView, _: Floats | None) -> Floats:
    """Return ‖w_in‖ of every group."""
    return nodes.root_of_squares(nodes.norms)


SCORES.register("l2", Score(rank))
