"""What a score is: how node groups are ranked, and what it wants to know of every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.records.score import SCORES
from spectral_engine.spectral.node_view import Floats, NodeView


@dataclass(frozen=True)
class Score:
    """`rank` gives each group's relevance [count]; higher stays longer.

    `change` reads one transfer's nodes [out] after a backward pass; its running mean over steps, in absolute value,
    is what `rank` is given, and None before the first step.
    """

    rank: Callable[[NodeView, Floats | None], Floats]
    change: Callable[[NodeView, Transfer], Tensor] | None = None


def find_score(name: str) -> Score:
    """Return a score by its name; raises ValueError with the names that there are."""
    score = SCORES.get(name)
    assert isinstance(score, Score)
    return score
