"""The floor of the metric, candidate by candidate, as the report tells it."""

from __future__ import annotations

from collections.abc import Sequence

from spectral_engine.cost.budget import Budget
from spectral_engine.evaluation.evaluation import HeldOut
from spectral_engine.judging.choice import Option, choose
from spectral_engine.judging.fixed_sequence import (
    fixed_sequence_test,
    narrowest_shown,
    order_of_tests,
)
from spectral_engine.measure.certificate import Evidence, rows_needed
from spectral_engine.records.report import FloorStatus, FloorTest
from spectral_engine.records.target import Target


def pick(
    options: Sequence[Option], budget: Budget, target: Target, measured: Sequence[HeldOut]
) -> tuple[int, list[FloorTest | None]]:
    """Return the candidate to hand back, and the test of each.

    The narrowest that is shown to keep the floor; where none is, or no floor is asked for, the one that validation
    rows choose.
    """
    chosen = choose(options, budget, target.max_metric_drop)
    evidence = [item.evidence for item in measured if item.evidence is not None]
    if not evidence:
        return chosen, [None] * len(measured)
    order = order_of_tests(options, budget)
    level = 1 - target.confidence
    statuses = fixed_sequence_test(order, [item.p_value <= level for item in evidence])
    shown = narrowest_shown(order, statuses)
    tests: list[FloorTest | None] = [
        _entry(target, item, status, order.index(i) + 1 if i in order else None)
        for i, (item, status) in enumerate(zip(measured, statuses, strict=True))
    ]
    return chosen if shown is None else shown, tests


def _entry(
    target: Target, measured: HeldOut, status: FloorStatus, position: int | None
) -> FloorTest:
    assert measured.evidence is not None
    assert target.max_metric_drop is not None
    evidence, floor, rows = measured.evidence, target.max_metric_drop, measured.metric.rows
    return FloorTest(
        floor=floor,
        confidence=target.confidence,
        status=status,
        position=position,
        p_value=evidence.p_value,
        upper_bound=evidence.upper_bound,
        rows=rows,
        rows_needed=_needed(evidence, measured.drop.value, floor, rows, target.confidence),
        method=evidence.method,
        asymptotic=evidence.asymptotic,
    )


def _needed(
    evidence: Evidence, drop: float, floor: float, rows: int, confidence: float
) -> int | None:
    if evidence.upper_bound <= floor or drop >= floor:
        return None
    return rows_needed(rows, drop, evidence.upper_bound, floor, confidence)
