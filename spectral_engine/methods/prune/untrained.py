"""What `prune` would remove if nothing trained: a plan by the weights alone, to be looked at before a job."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectral_engine.cost.blocks import grid_of
from spectral_engine.cost.budget import Budget, cost_of
from spectral_engine.cost.grid import Grid
from spectral_engine.cost.narrowing import InTime, Narrowing
from spectral_engine.cost.ranking import floors
from spectral_engine.cost.removal import RemovalPlan, amounts, explain
from spectral_engine.graph.coupling import Coupling, Mark
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.surgery import cut
from spectral_engine.methods.prune.options import Prune
from spectral_engine.records.plan import Plan
from spectral_engine.spectral.relevance import relevance_of_weights

Scores = NDArray[np.float64]


def plan_untrained(
    module: OnnxModule,
    coupling: Coupling,
    prune: Prune,
    end: Budget,
    seed: int = 0,
    *,
    grid: Grid | None = None,
    in_time: InTime | None = None,
) -> RemovalPlan:
    """Plan the way to `end`, candidate by candidate, as a job goes it; also without the grid, to tell what it moves.

    The grid is that of `prune` where none is given; `in_time` judges the last widths where time is limited.
    """
    grid = grid or grid_of(coupling, prune.round_to)
    removed = _gone(module, coupling, prune, end, grid, seed, in_time)
    if not grid.axes:
        return RemovalPlan.of(removed)
    return RemovalPlan(removed, _gone(module, coupling, prune, end, grid_of(coupling, 1), seed))


def _gone(
    module: OnnxModule,
    whole: Coupling,
    prune: Prune,
    end: Budget,
    grid: Grid,
    seed: int,
    in_time: InTime | None = None,
) -> Mark:
    """Mark what is gone at the end of the way [count]; what is left is ranked anew after each cut.

    Each narrower model is cut out of the whole one, when the one before it is gone: there are never two of them.
    """
    least, now, gone = floors(whole, prune.min_nodes), whole, np.zeros(whole.count, dtype=bool)
    start = cost_of(whole, gone)
    for level in range(1, prune.candidates + 1):
        scores = _scores(module, whole, now, gone, prune.score, seed)
        budget = end.along_path(start, level / prune.candidates)
        narrowing = Narrowing(now, whole, gone, scores, grid)
        last = in_time if level == prune.candidates else None
        going = narrowing.plan_in_time(budget, least, last).removed & ~gone
        gone, now = gone | going, now.without(going)
    return gone


def _scores(
    module: OnnxModule, whole: Coupling, now: Coupling, gone: Mark, score: str, seed: int
) -> Scores:
    """Return the relevance of what is left [count]: the nodes of `now`, those of `whole` that are not gone."""
    narrow = module
    if gone.any():
        narrow = module.over(cut(module.model, whole, gone), read_only=True)
    return relevance_of_weights(narrow, now, score, seed)


def tell_untrained(plan: RemovalPlan, coupling: Coupling, prune: Prune, asked: Budget) -> Plan:
    """Tell a plan by the weights alone, beside what is asked for."""
    nothing = np.zeros(coupling.count, dtype=bool)
    return Plan(
        score=prune.score,
        seen="weights",
        layers=explain(plan, coupling),
        before=amounts(cost_of(coupling, nothing)),
        after=amounts(cost_of(coupling, plan.removed)),
        limits=asked.limits,
    )
