"""Which candidate a job hands out that was stopped before it could choose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.store.candidates.records import CandidateRecord
from spectral_engine.records.choice import Standing, choose_standing

# Among a candidate's metrics, from the moment that the engine announces it.
DROP = "validation_drop"
CAREFUL_DROP = "careful_drop"  # one standard error more
WITHIN_BUDGET = "within_budget"


def best_so_far(
    candidates: Sequence[CandidateRecord], recipe: Mapping[str, Any]
) -> CandidateRecord | None:
    """Return the candidate that the rule of finished jobs chooses among these, or None without any.

    The job had no time to measure how long a candidate takes: only what it announced counts.
    """
    if not candidates:
        return None
    in_order = sorted(candidates, key=lambda one: one.index)
    allowed = (recipe.get("target") or {}).get("max_metric_drop")
    return in_order[choose_standing([_standing(one) for one in in_order], allowed)]


def _standing(candidate: CandidateRecord) -> Standing:
    drop = _number(candidate.metrics.get(DROP), math.inf)
    return Standing(
        macs=candidate.macs,
        params=candidate.params,
        nodes=candidate.nodes,
        within_budget=bool(candidate.metrics.get(WITHIN_BUDGET, True)),
        drop=drop,
        careful_drop=_number(candidate.metrics.get(CAREFUL_DROP), drop),
    )


def _number(told: float | None, otherwise: float) -> float:
    return otherwise if told is None else float(told)
