"""Σ_j |w_ij ∂L/∂w_ij| over the incoming weights (Molchanov et al., CVPR 2019)."""

from __future__ import annotations

from spectral_engine.records.score import SCORES
from spectral_engine.spectral.node_view import Floats, NodeView
from spectral_engine.spectral.score import Score


def rank(nodes: NodeView, change: Floats | None) -> Floats:
    """Return the change of the loss; the norms before there is a gradient."""
    return nodes.root_of_squares(nodes.gated_norms) if change is None else change


SCORES.register("taylor", Score(rank, change=NodeView.change_of_links))
