"""Which candidate is handed back, and whether it is what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spectral_engine.methods.budget import Budget, Cost
from spectral_engine.report.schema import Outcome


@dataclass(frozen=True)
class Option:
    """A candidate as validation rows see it.

    `drop` is the measured loss of metric; `careful_drop` adds one standard error, so that the narrowest of several
    candidates is not chosen for its luck (the one-standard-error rule of Breiman et al., CART, 1984).
    """

    cost: Cost
    drop: float
    careful_drop: float


def choose(options: Sequence[Option], budget: Budget, max_drop: float | None) -> int:
    """Return the index of the best candidate.

    Within the budget: the narrowest whose careful drop is allowed; else the one most surely within the drop; without
    a bound on the drop, the most accurate. Where none is within the budget, the narrowest.
    """
    fitting = [i for i, option in enumerate(options) if not budget.exceeded_by(option.cost)]
    if not fitting:
        return min(range(len(options)), key=lambda i: _size(options[i]))
    if max_drop is None:
        return min(fitting, key=lambda i: (options[i].drop, _size(options[i])))
    safe = [i for i in fitting if options[i].careful_drop <= max_drop]
    if safe:
        return min(safe, key=lambda i: _size(options[i]))
    return min(fitting, key=lambda i: (options[i].careful_drop, _size(options[i])))


@dataclass(frozen=True)
class Verdict:
    """The outcome, in a word and in a sentence; `binding` names the constraint that was not met."""

    outcome: Outcome
    reason: str
    binding: str | None = None


def judge(
    cost: Cost,
    baseline: Cost,
    budget: Budget,
    drop: float,
    max_drop: float | None,
    *,
    narrows: bool = True,
) -> Verdict:
    """Say whether the chosen candidate meets the target, by its drop on held-out rows.

    `narrows` is false for a method that removes no nodes: as many as before are no failure then.
    """
    exceeded = budget.exceeded_by(cost)
    if exceeded:
        name = exceeded[0]
        return Verdict(
            "target_not_met",
            f"the candidate has {cost.get(name):,} {name}, and {budget.limits[name]:,.0f} are allowed",
            "keep_nodes" if name == "nodes" else f"max_{name}",
        )
    if max_drop is not None and drop > max_drop:
        return Verdict(
            "target_not_met",
            f"the metric drops by {drop:.4g} on held-out rows, and {max_drop:.4g} is allowed",
            "max_metric_drop",
        )
    if narrows and cost.params >= baseline.params and cost.macs >= baseline.macs:
        return Verdict("no_gain", "no node could be removed within the target")
    return Verdict("target_met", f"the metric drops by {drop:.4g} on held-out rows")


def _size(option: Option) -> tuple[int, int, int]:
    return option.cost.macs, option.cost.params, option.cost.nodes
