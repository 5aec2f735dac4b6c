"""|λ|·‖φ‖ (Giambagli et al., NeurIPS 2023)."""

from __future__ import annotations

from spectral_engine.records.score import SCORES
from spectral_engine.spectral.node_view import Floats, NodeView
from spectral_engine.spectral.score import Score


def rank(nodes: NodeView, _: Floats | None) -> Floats:
    """Return |λ|·‖φ‖ of every group."""
    return nodes.root_of_squares(nodes.gated_norms)


SCORES.register("eigenvalue_norm", Score(rank))
