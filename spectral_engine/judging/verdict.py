"""Whether what is handed back is what was asked for, in a word and in a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_engine.cost.budget import Budget, Cost, field_of
from spectral_engine.records.report import FloorTest, Outcome


@dataclass(frozen=True)
class Verdict:
    """The outcome, in a word and in a sentence; `binding` names the constraint that was not met."""

    outcome: Outcome
    reason: str
    binding: str | None = None


ORIGINAL_KEPT = Verdict(
    "no_gain",
    "every narrower model breaks the floor on validation rows, by more than chance: the original is handed back",
    "max_metric_drop",
)


def judge(
    cost: Cost,
    baseline: Cost,
    budget: Budget,
    drop: float,
    test: FloorTest | None,
    *,
    narrows: bool = True,
    contradiction: str | None = None,
) -> Verdict:
    """Say whether a candidate meets the target, by its drop on held-out rows and what they show of the floor.

    `narrows` is false for a method that removes no nodes: as many as before are no failure then. `contradiction` says
    why the candidate's answers are not those of a working copy, whatever the metric says.
    """
    exceeded = budget.exceeded_by(cost)
    if exceeded:
        name = exceeded[0]
        return Verdict(
            "target_not_met",
            _too_much(name, cost.get(name), budget.limits[name]),
            field_of(name),
        )
    if test is not None and test.status != "shown":
        return Verdict("target_not_met", _why_not_shown(drop, test), "max_metric_drop")
    if contradiction is not None:
        return Verdict(
            "target_not_met", f"the candidate does not work as the original: {contradiction}"
        )
    if narrows and cost.params >= baseline.params and cost.macs >= baseline.macs:
        return Verdict("no_gain", "no node could be removed within the target")
    if test is None:
        return Verdict("target_met", f"the metric drops by {drop:.4g} on held-out rows")
    return Verdict(
        "target_met",
        f"the metric drops by {drop:.4g} on {test.rows:,} held-out rows, which show at {_percent(test)} confidence "
        f"that it truly drops by {test.floor:g} at most",
    )


def _too_much(resource: str, amount: float, limit: float) -> str:
    if resource == "latency_ms":
        return f"the candidate takes {amount:.3g} ms for a row, and {limit:.3g} ms are allowed"
    return f"the candidate has {amount:,.0f} {resource}, and {limit:,.0f} are allowed"


def _why_not_shown(drop: float, test: FloorTest) -> str:
    if drop > test.floor:
        return f"the metric drops by {drop:.4g} on held-out rows, and {test.floor:.4g} is allowed"
    cannot = f"a drop of at most {test.floor:g} cannot be shown with {test.rows:,} samples"
    if test.upper_bound <= test.floor:
        return f"{cannot}: a wider candidate, tested before this one, failed"
    bound = f"{cannot}: they show at {_percent(test)} confidence that it truly drops by {test.upper_bound:.2g} at most"
    if test.rows_needed is None:
        return bound
    return (
        f"{bound}; about {test.rows_needed:,} held-out samples would be needed for {test.floor:g}"
    )


def _percent(test: FloorTest) -> str:
    return f"{100 * test.confidence:g} %"
