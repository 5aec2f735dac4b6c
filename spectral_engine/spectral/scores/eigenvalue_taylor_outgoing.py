"""The geometric mean of the change of the loss in λ and ‖w_in‖·‖w_out‖: the default.

The change alone spreads the nodes too evenly over the layers and says little of a node whose loss is flat; the norms
alone starve deep layers.
"""

from __future__ import annotations

import numpy as np

from spectral_engine.records.score import SCORES
from spectral_engine.spectral.node_view import Floats, NodeView
from spectral_engine.spectral.score import Score


def rank(nodes: NodeView, change: Floats | None) -> Floats:
    """Return the geometric mean; the norms alone before there is a gradient."""
    sizes = nodes.root_with_readers(nodes.gated_norms)
    return sizes if change is None else np.sqrt(change * sizes)


SCORES.register("eigenvalue_taylor_outgoing", Score(rank, change=NodeView.change_of_eigenvalues))
