"""Which candidate a job hands out that was stopped before it could choose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from service.store.candidates.records import CandidateRecord
from spectral_engine.records.metrics import HIGHER_IS_BETTER, Metric

PREFIX = "validation_"
DROP = "validation_drop"


def best_so_far(
    candidates: Sequence[CandidateRecord], recipe: Mapping[str, Any]
) -> CandidateRecord | None:
    """Return the narrowest candidate that loses no more than the recipe allows, or None without any.

    The loss is counted from the best of the candidates, on validation rows: the job had no time to measure more.
    Where the recipe names no drop, the narrowest comes nearest to what was asked for.
    """
    if not candidates:
        return None
    allowed = (recipe.get("target") or {}).get("max_metric_drop")
    best = max(map(_goodness, candidates))
    least = -math.inf if allowed is None else best - allowed
    within = [one for one in candidates if _goodness(one) >= least]
    return min(within, key=lambda one: (one.macs, one.params, one.nodes, one.index))


def _goodness(candidate: CandidateRecord) -> float:
    """Return the validation metric, turned so that more is better."""
    for name, value in candidate.metrics.items():
        if name.startswith(PREFIX) and name != DROP and value is not None:
            higher = HIGHER_IS_BETTER.get(cast(Metric, name.removeprefix(PREFIX)), True)
            return float(value) if higher else -float(value)
    return -math.inf
