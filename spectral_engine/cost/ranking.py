"""Which node groups go next: the least relevant ones, as few as a budget needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spectral_engine.cost.budget import Budget, Cost, cost_of
from spectral_engine.graph.coupling import Coupling, Mark

FEW = 4  # a layer of a few heads keeps a quarter of them


def floors(coupling: Coupling, min_nodes: int) -> dict[str, int]:
    """Return how many nodes of each layer always stay: `min_nodes`, or a quarter of a few.

    Read them from the coupling of the whole model: of one that narrows step by step they would narrow along.
    """
    return {
        name: min(min_nodes, max(1, size // FEW)) for name, size in _layer_sizes(coupling).items()
    }


def _layer_sizes(coupling: Coupling) -> dict[str, int]:
    return {layer.name: len(np.unique(layer.groups)) for layer in coupling.layers}


def even_floors(
    whole: Coupling, now: Coupling, least: Mapping[str, int], share: float
) -> dict[str, int]:
    """Return floors that rise with what is left: each layer keeps `share` of its even part at least.

    Its even part is its size times the part of all removable nodes that is still there. A score alone may leave a
    layer so few nodes that nothing gets through it.
    """
    alive, free = now.alive(), whole.alive() & ~whole.pinned
    part = share * (alive & free).sum() / max(1, free.sum())
    sizes = _layer_sizes(whole)
    return {name: max(number, round(part * sizes[name])) for name, number in least.items()}


def protected(coupling: Coupling, scores: NDArray[np.float64], least: Mapping[str, int]) -> Mark:
    """Mark each layer's most relevant groups [count], as many as `least` says, so that none collapses.

    Parts of layers that go ways of their own keep one group at least.
    """
    marked = np.zeros(coupling.count, dtype=bool)
    alive = coupling.alive()
    for layer in coupling.layers:
        groups = np.unique(layer.groups[alive[layer.groups]])
        best = groups[np.argsort(-scores[groups], kind="stable")[: least[layer.name]]]
        marked[best] = True
    for part in coupling.parts:
        if not marked[part].any():
            marked[part[np.argmax(scores[part])]] = True
    return marked


def choose_removal(
    coupling: Coupling,
    scores: NDArray[np.float64],
    budget: Budget,
    least: Mapping[str, int],
    price: Callable[[Mark], Cost] | None = None,
    among: Mark | None = None,
) -> Mark:
    """Mark the groups to remove [count]: the fewest, least relevant first, that bring the model under budget.

    Where the floors do not allow that, everything that can go is marked. `price` says what the model costs without
    the groups that it is given; without it, the coupling does. `among` are those to choose from, where not all are.
    """
    price = price or partial(cost_of, coupling)
    free = removable(coupling, scores, least)
    order = np.flatnonzero(free if among is None else free & among)
    order = order[np.argsort(scores[order], kind="stable")]

    def first(count: int) -> Mark:
        marked = np.zeros(coupling.count, dtype=bool)
        marked[order[:count]] = True
        return marked

    low, high = 0, len(order)  # the answer lies in [low, high]; cost falls with the count
    while low < high:
        middle = (low + high) // 2
        if budget.exceeded_by(price(first(middle))):
            low = middle + 1
        else:
            high = middle
    return first(low)


def all_that_can_go(coupling: Coupling, min_nodes: int) -> Mark:
    """Mark every group that can go while `min_nodes` of each layer stay [count]."""
    return removable(coupling, np.zeros(coupling.count), floors(coupling, min_nodes))


def removable(coupling: Coupling, scores: NDArray[np.float64], least: Mapping[str, int]) -> Mark:
    """Mark every group that can go [count]: not pinned, and not among the best that each layer keeps."""
    return coupling.alive() & ~coupling.pinned & ~protected(coupling, scores, least)


def floor_cost(coupling: Coupling, min_nodes: int) -> Cost:
    """Return what stays when every group that can go is gone."""
    return cost_of(coupling, all_that_can_go(coupling, min_nodes))
