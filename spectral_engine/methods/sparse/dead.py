"""Nodes that lost all links on one side: nothing reaches them, or nobody reads them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from spectral_engine.graph.coupling import Coupling, Mark
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.graph.ids import GroupIds
from spectral_engine.methods.sparse.link_pattern import Pattern
from spectral_engine.methods.sparse.model import SparseModel

Links = NDArray[np.int64]  # [out, in]: how many links there are between two nodes


def dead_groups(model: SparseModel, pattern: Pattern) -> Mark:
    """Mark the node groups that can go without changing the model, but for a constant [count].

    1. A group is dead when no link reaches any of its members, or no link leaves any.
    2. What is dead takes its links along, which may leave others without any.
    3. Of a pattern in groups or blocks, only whole ones go: otherwise the rest would be out of step.
    4. One node of each layer stays; where a pattern holds nodes together, all of a layer that is dead throughout.
    """
    coupling, dead = model.coupling, np.zeros(model.coupling.count, dtype=bool)
    linked = list(_linked(model))
    free = _free(coupling)
    while True:
        further = dead | (free & _lonely(coupling, linked, dead))
        further = _whole(coupling, further, pattern)
        _spare(coupling, further, pattern)
        if (further == dead).all():
            return dead
        dead = further


def _linked(model: SparseModel) -> Iterator[tuple[Transfer, Links]]:
    """Yield every transfer with the number of links between each pair of its nodes."""
    for transfer in model.coupling.transfers:
        weight = model.weight(transfer.weight)
        in_axis = 1 if transfer.in_axis is None else transfer.in_axis
        there = (weight != 0).movedim((transfer.out_axis, in_axis), (0, 1))
        counts = there.reshape(*there.shape[:2], -1).sum(dim=2, dtype=torch.int64)  # [out, in]
        yield transfer, counts.cpu().numpy()


def _free(coupling: Coupling) -> Mark:
    """Mark the groups whose members transfers alone make and read: what they are is in the links."""
    free = coupling.alive() & ~coupling.pinned
    for mix in coupling.mixes:
        free[mix.ids] = False
    for product in coupling.products:
        for ids in product.ids:
            free[ids] = False
    weights = {transfer.weight for transfer in coupling.transfers}
    for name, shape in coupling.sizes.items():
        if len(shape) > 1 and name not in weights:  # a table that is added or looked up
            for groups in coupling.axes.get(name, ()):
                if groups is not None:
                    free[groups] = False
    return free


def _lonely(coupling: Coupling, linked: list[tuple[Transfer, Links]], dead: Mark) -> Mark:
    """Mark the groups that no link reaches, or none leaves, when these are gone already."""
    reaching, leaving = np.zeros(coupling.count, np.int64), np.zeros(coupling.count, np.int64)
    read, varying = np.zeros(coupling.count, dtype=bool), np.zeros(coupling.count, dtype=bool)
    for transfer, links in linked:
        made = coupling.axes[transfer.weight][transfer.out_axis]
        source = None
        if transfer.in_axis is not None:
            source = coupling.axes[transfer.weight][transfer.in_axis]
        alive = links.copy()
        if source is not None:
            alive[:, dead[source]] = 0
        if made is not None:
            alive[dead[made]] = 0
            np.add.at(reaching, made, alive.sum(axis=1))
            varying[made] |= transfer.kind == "recurrent"  # its state moves by biases alone
        if source is not None:
            np.add.at(leaving, source, alive.sum(axis=0))
            read[source] = True
    lonely: Mark = ((reaching == 0) & ~varying) | (read & (leaving == 0))
    return lonely


def _whole(coupling: Coupling, dead: Mark, pattern: Pattern) -> Mark:
    """Unmark groups until what is marked stands in whole groups or blocks of every weight."""
    kept = dead.copy()
    places = [
        (ids, size)
        for transfer in coupling.transfers
        for axis, size in zip((transfer.out_axis, transfer.in_axis), pattern.grain, strict=True)
        if axis is not None and size > 1
        if (ids := coupling.axes[transfer.weight][axis]) is not None
    ]
    while True:
        before = kept.copy()
        for ids, size in places:
            kept[_broken(ids, size, kept)] = False
        if (kept == before).all():
            return kept


def _broken(ids: GroupIds, size: int, dead: Mark) -> GroupIds:
    """Return the groups in runs of `size` places of which some, not all, are marked."""
    starts = np.arange(0, len(ids), size)
    marked = np.add.reduceat(dead[ids].astype(np.int64), starts)
    lengths = np.diff([*starts, len(ids)])
    partly = (marked > 0) & (marked < lengths)
    return GroupIds(ids[np.repeat(partly, lengths)])


def _spare(coupling: Coupling, dead: Mark, pattern: Pattern) -> None:
    for layer in coupling.layers:
        if layer.groups.size and dead[layer.groups].all():
            dead[layer.groups if pattern.grain != (1, 1) else layer.groups[:1]] = False
