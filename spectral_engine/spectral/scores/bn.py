"""|γ| of the normalisation that follows (Liu et al., ICCV 2017); the L2 norm where none does."""

from __future__ import annotations

from spectral_engine.records.score import SCORES
from spectral_engine.spectral.node_view import Floats, NodeView
from spectral_engine.spectral.score import Score


def rank(nodes: NodeView, _: Floats | None) -> Floats:
    """Return |γ| of every group."""
    return nodes.root_of_squares(nodes.gated_norms)


SCORES.register("bn", Score(rank))
