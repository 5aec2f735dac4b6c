"""|λ| alone (Buffoni et al., Sci. Rep. 12, 11201 (2022))."""

from __future__ import annotations

from spectral_engine.records.score import SCORES
from spectral_engine.spectral.node_view import Floats, NodeView
from spectral_engine.spectral.score import Score


def rank(nodes: NodeView, _: Floats | None) -> Floats:
    """Return |λ| of every group."""
    return nodes.root_of_squares(nodes.magnitudes)


SCORES.register("eigenvalue", Score(rank))
