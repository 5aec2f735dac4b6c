"""Layers: transfers whose output nodes the graph couples, seen as one row of nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.graph.ids import GroupAxes, GroupIds


@dataclass(frozen=True)
class Layer:
    """Node groups that one or several coupled transfers produce.

    `groups` holds each group once, in the index order of the first producer. `reason` says why
    nodes of this layer are pinned, where some are; a layer is prunable when some are not.
    """

    name: str
    groups: GroupIds
    producers: tuple[str, ...]
    prunable: bool
    reason: str | None

    def without(self, removed: NDArray[np.bool_]) -> Layer:
        """Return what stays of this layer."""
        return replace(self, groups=GroupIds(self.groups[~removed[self.groups]]))


def find_layers(
    transfers: Sequence[Transfer],
    axes: Mapping[str, GroupAxes],
    pinned: NDArray[np.bool_],
    reasons: Mapping[int, str],
) -> tuple[Layer, ...]:
    """Gather the transfers that share output groups; layers and producers stand in graph order."""
    produced = [(transfer.name, out_groups(transfer, axes)) for transfer in transfers]
    members: dict[int, list[int]] = {}
    for position, label in enumerate(_share([groups for _, groups in produced], len(pinned))):
        members.setdefault(int(label), []).append(position)
    layers = []
    for positions in members.values():
        groups = _first_seen([produced[position][1] for position in positions])
        names = tuple(produced[position][0] for position in positions)
        pinned_groups = groups[pinned[groups]]
        reason = reasons.get(int(pinned_groups[0])) if pinned_groups.size else None
        layers.append(Layer(names[0], groups, names, pinned_groups.size < groups.size, reason))
    return tuple(layers)


def out_groups(transfer: Transfer, axes: Mapping[str, GroupAxes]) -> GroupIds:
    """Return the groups along a transfer's output axis."""
    ids = axes[transfer.weight][transfer.out_axis]
    return GroupIds(np.empty(0, dtype=np.int64)) if ids is None else ids


def _share(groups: Sequence[GroupIds], count: int) -> NDArray[np.int32]:
    """Label each row of groups by the rows that it shares a group with, directly or not."""
    rows = np.repeat(np.arange(len(groups)), [len(ids) for ids in groups])
    columns = np.concatenate([*groups, np.empty(0, dtype=np.int64)]) + len(groups)
    size = len(groups) + count
    links = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(size, size))
    _, labels = connected_components(links, directed=False)
    return np.asarray(labels[: len(groups)], dtype=np.int32)


def _first_seen(rows: Sequence[GroupIds]) -> GroupIds:
    """Return each group of these rows once, in the order in which they come."""
    groups = np.concatenate(rows)
    _, firsts = np.unique(groups, return_index=True)
    return GroupIds(groups[np.sort(firsts)])
