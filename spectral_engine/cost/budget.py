"""What a model costs, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import InvalidRequest, TargetInfeasible
from spectral_engine.graph.coupling import Coupling
from spectral_engine.records.target import Target

# How far the path goes when only the accuracy is bounded: the share of nodes at its narrow end.
NARROWEST = 0.02


@dataclass(frozen=True)
class Cost:
    """Nodes that could be removed and are still there, multiply-adds of one sample, parameters, bytes of the file.

    `latency_ms` is 0 before it is measured.
    """

    nodes: int
    macs: int
    params: int
    bytes: int = 0
    latency_ms: float = 0.0

    def get(self, resource: str) -> float:
        """Return one resource by name."""
        return float(getattr(self, resource))


def cost_of(coupling: Coupling, removed: NDArray[np.bool_]) -> Cost:
    """Return what the model costs once these groups are gone."""
    return Cost(
        nodes=int((coupling.alive() & ~coupling.pinned & ~removed).sum()),
        macs=coupling.macs(removed),
        params=coupling.params(removed),
        bytes=coupling.file_bytes(removed),
    )


@dataclass(frozen=True)
class Budget:
    """Upper limits by resource; a resource that is not named is free."""

    limits: dict[str, float]

    def also(self, resource: str, limit: float) -> Budget:
        """Return the same with this limit too, where a lower one is not there."""
        return Budget({**self.limits, resource: min(limit, self.limits.get(resource, limit))})

    def exceeded_by(self, cost: Cost) -> list[str]:
        """Return the resources of which this cost takes too much."""
        return [name for name, limit in self.limits.items() if cost.get(name) > limit]

    def unused_by(self, cost: Cost) -> float:
        """Return the share of the tightest limit that this cost leaves: below 0 where it takes too much."""
        return min(
            (
                1 - cost.get(name) / limit if limit else -cost.get(name)
                for name, limit in self.limits.items()
            ),
            default=1.0,
        )

    def along_path(self, start: Cost, fraction: float) -> Budget:
        """Return the budget part-way: each step of the path takes the same share of what is left."""
        return Budget(
            {
                name: start.get(name) * (limit / max(1, start.get(name))) ** fraction
                for name, limit in self.limits.items()
            }
        )


def field_of(resource: str) -> str:
    """Return the target's field that limits a resource."""
    return "keep_nodes" if resource == "nodes" else f"max_{resource}"


def asked_budget(target: Target, start: Cost) -> Budget:
    """Turn the target's limits into amounts; shares are of what the original costs."""
    return Budget(target.amounts(start.get))


def path_end(budget: Budget, start: Cost, floor: Cost, added: int = 0) -> Budget:
    """Return where the path ends: at the budget, or at few nodes where only accuracy is asked for.

    A candidate's file will have `added` bytes that are not counted on the way.
    """
    limits = {name: min(limit, start.get(name)) for name, limit in budget.limits.items()}
    if "bytes" in limits:
        limits["bytes"] -= added
    return Budget(limits or {"nodes": max(NARROWEST * start.nodes, floor.nodes)})


def check_feasible(budget: Budget, floor: Cost) -> None:
    """Refuse, before anything trains, a budget below what must stay."""
    for name in budget.exceeded_by(floor):
        field = field_of(name)
        raise TargetInfeasible(
            f"{field} allows {budget.limits[name]:,.0f} {name}, but {floor.get(name):,.0f} "
            "stay even when every node that can go is gone",
            pointer=f"#/recipe/target/{field}",
        )


def check_target(target: Target, *, is_share: bool) -> None:
    """Ask back where a drop is the whole range of a metric of 0 to 1, or more: who writes 1 means one point."""
    drop = target.max_metric_drop
    if is_share and drop is not None and drop >= 1:
        raise InvalidRequest(
            f"max_metric_drop is {drop:g}, in the metric's own unit: that is {100 * drop:g} points. Write 0.01, "
            "'1pt' or '1%' for one point",
            pointer="#/recipe/target/max_metric_drop",
        )
