"""Which candidate is handed back, and whether it is what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spectral_engine.cost.budget import Budget, Cost, field_of
from spectral_engine.records.report import FloorTest, Outcome


@dataclass(frozen=True)
class Option:
    """A candidate as validation rows see it.

    `drop` is the measured loss of metric; `careful_drop` adds one standard error: how sure one may be of it (the
    one-standard-error rule of Breiman et al., CART, 1984). `unchanged` marks the original itself.
    """

    cost: Cost
    drop: float
    careful_drop: float
    unchanged: bool = False


def choose(options: Sequence[Option], budget: Budget, max_drop: float | None) -> int:
    """Return the index of the best candidate.

    Within the budget: the narrowest whose measured drop is allowed; else the one most surely within the drop; without
    a bound on the drop, the most accurate. Where none is within the budget, the narrowest. What a drop allows here is
    not shown yet: that is the held-out rows' business.
    """
    fitting = [i for i, option in enumerate(options) if not budget.exceeded_by(option.cost)]
    if not fitting:
        return min(range(len(options)), key=lambda i: size(options[i]))
    if max_drop is None:
        return min(fitting, key=lambda i: (options[i].drop, size(options[i])))
    allowed = [i for i in fitting if options[i].drop <= max_drop]
    if allowed:
        return min(allowed, key=lambda i: size(options[i]))
    return min(fitting, key=lambda i: (options[i].careful_drop, size(options[i])))


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


def size(option: Option) -> tuple[int, int, int]:
    """Return what makes one candidate wider than another: multiply-adds first."""
    return option.cost.macs, option.cost.params, option.cost.nodes
