"""A plan of removal: the very marks that are cut, which can be looked at before."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_engine.cost.budget import Cost
from spectral_engine.graph.coupling import Coupling, Mark
from spectral_engine.records.plan import Amounts, LayerWidth


@dataclass(frozen=True)
class RemovalPlan:
    """Which node groups of a whole model go [count]: `removed` is what is cut, and all of it.

    `asked` is what score and budget alone would take, beside what went before. The two differ where widths are rounded
    to a grid.
    """

    removed: Mark
    asked: Mark

    @classmethod
    def of(cls, removed: Mark) -> RemovalPlan:
        """Return the plan that takes what was asked for."""
        return cls(removed, removed)


def explain(plan: RemovalPlan, coupling: Coupling) -> list[LayerWidth]:
    """Tell of each layer of the whole model how many nodes stay, which transfers share them, and why some must."""
    return [
        LayerWidth(
            layer=layer.name,
            before=len(layer.groups),
            after=int((~plan.removed[layer.groups]).sum()),
            asked=int((~plan.asked[layer.groups]).sum()),
            coupled=list(layer.producers),
            reason=layer.reason,
        )
        for layer in coupling.layers
    ]


def amounts(cost: Cost) -> Amounts:
    """Return a cost as it is told."""
    return Amounts(nodes=cost.nodes, params=cost.params, macs=cost.macs, file_bytes=cost.bytes)
