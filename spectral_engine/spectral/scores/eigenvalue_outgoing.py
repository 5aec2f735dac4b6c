"""|λ|·‖φ‖ of the incoming weights, times the norm of those that read the node."""

from __future__ import annotations

from spectral_engine.records.score import SCORES
from spectral_engine.spectral.node_view import Floats, NodeView
from spectral_engine.spectral.score import Score


def rank(nodes: NodeView, _: Floats | None) -> Floats:
    """Return ‖w_in‖·‖w_out‖ of every group."""
    return nodes.root_with_readers(nodes.gated_norms)


SCORES.register("eigenvalue_outgoing", Score(rank))
