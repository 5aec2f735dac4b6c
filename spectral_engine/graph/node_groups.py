"""Node groups, once they are known: where they stand, which may go, and what the model costs without them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from spectral_engine.graph.cost import ProductSum
from spectral_engine.graph.coupling_recorder import Frozen, Mix, Product, ShapeFact, Transfer
from spectral_engine.graph.ids import GroupAxes, GroupIds
from spectral_engine.graph.layers import Layer

Mark = NDArray[np.bool_]


@dataclass(frozen=True)
class Coupling:
    """The node groups of a model, and where their indices stand.

    `axes` gives the group of every index of every axis, by value name; groups are numbered
    0..count-1. `sizes` holds the shapes of the initializers that count as parameters, `bits` the width of their
    elements; `fixed_bytes` of the file are of other things, and stay.
    """

    axes: dict[str, GroupAxes]
    count: int
    pinned: Mark  # [count]
    reasons: dict[int, str]
    transfers: tuple[Transfer, ...]
    facts: tuple[ShapeFact[GroupIds], ...]
    frozen: tuple[Frozen, ...]
    mixes: tuple[Mix[GroupIds], ...]
    products: tuple[Product[GroupIds], ...]
    layers: tuple[Layer, ...]
    sizes: dict[str, tuple[int, ...]]
    bits: dict[str, int] = field(default_factory=dict)
    fixed_bytes: int = 0

    def without(self, removed: Mark) -> Coupling:
        """Return the coupling of the cut model, with the same numbering of groups."""
        check_removable(self, removed)
        return replace(
            self,
            # Groups keep their numbers, so that marks, reasons and pins of the wide model hold for the cut one.
            axes={name: _filter(axes, removed) for name, axes in self.axes.items()},
            layers=tuple(layer.without(removed) for layer in self.layers),
            transfers=tuple(self._fewer_positions(t, removed) for t in self.transfers),
            facts=tuple(replace(fact, ids=_kept(fact.ids, removed)) for fact in self.facts),
            mixes=tuple(replace(mix, ids=_kept(mix.ids, removed)) for mix in self.mixes),
            products=tuple(_fewer(product, removed) for product in self.products),
            sizes={
                name: narrowed_shape(shape, self.axes.get(name), removed)
                for name, shape in self.sizes.items()
            },
        )

    def alive(self) -> Mark:
        """Mark the groups that still stand somewhere [count]."""
        return self._alive.copy()

    def macs(self, removed: Mark | None = None) -> int:
        """Return the multiply-adds of one sample in all transfers and products, once these groups are gone."""
        return self._macs.count(removed)

    def params(self, removed: Mark | None = None) -> int:
        """Return the elements of all float initializers, once these groups are gone."""
        return self._params.count(removed)

    def file_bytes(self, removed: Mark | None = None) -> int:
        """Return the bytes of the model's file, once these groups are gone; of the weights alone before `in_file`."""
        return self.fixed_bytes + self._bits.count(removed) // 8

    def in_file(self, file_bytes: int) -> Coupling:
        """Return the coupling of a model whose file, external data included, takes so many bytes."""
        return replace(self, fixed_bytes=file_bytes - self._bits.count(None) // 8)

    @cached_property
    def _alive(self) -> Mark:
        # The numbering outlives a cut: groups that are gone have a number, and no place.
        alive = np.zeros(self.count, dtype=bool)
        for axes in self.axes.values():
            for ids in axes:
                if ids is not None:
                    alive[ids] = True
        return alive

    @cached_property
    def parts(self) -> tuple[GroupIds, ...]:
        """The groups of axes that no layer stands on as a whole, as half of the channels may go another way.

        Layers keep some of their nodes, and all of those may stand elsewhere: of each of these one must stay too.
        """
        # Many values hold the same row of groups: each is looked at once.
        distinct = {
            ids.tobytes(): ids for axes in self.axes.values() for ids in axes if ids is not None
        }
        parts: dict[bytes, GroupIds] = {}
        for ids in distinct.values():
            groups = GroupIds(np.unique(ids))
            # An axis with a pinned group is never empty, and one that holds a whole layer is guarded by that layer.
            if groups.size and not self.pinned[groups].any() and not self._holds_a_layer(groups):
                parts[groups.tobytes()] = groups
        return tuple(parts.values())

    def _holds_a_layer(self, groups: GroupIds) -> bool:
        # Only a layer whose smallest group is in the row can lie in it as a whole: that finds the few to compare with.
        among = np.zeros(self.count, dtype=bool)
        among[groups] = True
        return any(
            among[layer.groups].all()
            for group in groups.tolist()
            for layer in self._layers_by_first.get(group, ())
        )

    @cached_property
    def _layers_by_first(self) -> dict[int, list[Layer]]:
        by_first: dict[int, list[Layer]] = {}
        for layer in self.layers:
            if layer.groups.size:
                by_first.setdefault(int(layer.groups.min()), []).append(layer)
        return by_first

    @cached_property
    def _macs(self) -> ProductSum:
        # Transfers with a weight, and products of two activations, whose factors are nodes on both sides.
        links = [self._links(transfer) for transfer in self.transfers]
        return ProductSum([*links, *((item.factor, list(item.ids)) for item in self.products)])

    @cached_property
    def _params(self) -> ProductSum:
        return ProductSum(_elements(shape, self.axes.get(n)) for n, shape in self.sizes.items())

    @cached_property
    def _bits(self) -> ProductSum:
        terms = ((_elements(shape, self.axes.get(n)), n) for n, shape in self.sizes.items())
        return ProductSum((factor * self.bits.get(n, 32), ids) for (factor, ids), n in terms)

    def _links(self, transfer: Transfer) -> tuple[int, list[GroupIds]]:
        """Return a transfer's multiply-adds as a factor and the id arrays whose lengths multiply it."""
        # Multiply-adds = links · (in nodes) · (out nodes). An axis without ids cannot shrink and goes into the factor;
        # so do the positions, but for those that are nodes to another transfer and may go with them.
        axes, sizes = self.axes[transfer.weight], self.sizes[transfer.weight]
        ends = [axis for axis in (transfer.out_axis, transfer.in_axis) if axis is not None]
        factor = transfer.macs_per_link * prod(sizes[axis] for axis in ends if axes[axis] is None)
        ids = [along for axis in ends if (along := axes[axis]) is not None]
        positions = self._position_ids(transfer)
        return factor // prod(len(along) for along in positions), ids + positions

    def _position_ids(self, transfer: Transfer) -> list[GroupIds]:
        """Return the ids along axes of the output that are positions to this transfer, nodes to others."""
        if transfer.kind == "recurrent":
            return []  # its output holds the hidden nodes that its rows, the gates, belong to
        out = self.axes[transfer.weight][transfer.out_axis]
        along = [ids for ids in self.axes.get(transfer.output, ()) if ids is not None]
        # The axis that the transfer makes is counted as its out nodes; all others are positions to it.
        return [ids for ids in along if out is None or not np.array_equal(ids, out)]

    def _fewer_positions(self, transfer: Transfer, removed: Mark) -> Transfer:
        # Positions that go leave fewer multiply-adds to each link; the links that go are counted by the ends.
        macs = transfer.macs_per_link
        for ids in self._position_ids(transfer):
            macs = macs * int((~removed[ids]).sum()) // len(ids)
        return replace(transfer, macs_per_link=macs)


def check_removable(coupling: Coupling, removed: Mark) -> None:
    """Refuse to remove a pinned group, or all nodes of an axis."""
    if removed.shape != (coupling.count,):
        raise ValueError(f"removed has shape {removed.shape}, expected ({coupling.count},)")
    # The faces of the model, and all of which not everything is known, stay.
    wrong = np.flatnonzero(removed & coupling.pinned)
    if wrong.size:
        group = int(wrong[0])
        raise ValueError(f"group {group} must stay: {coupling.reasons[group]}")
    # A layer of no nodes is no layer: its readers would get an empty axis, which runtimes refuse or define differently.
    for layer in coupling.layers:
        if layer.groups.size and removed[layer.groups].all():
            raise ValueError(f"layer {layer.name!r} would lose all of its nodes")
    # The same where an axis is only a part of a layer, as one half of a split.
    for part in coupling.parts:
        if removed[part].all():
            raise ValueError(f"an axis that groups {part.tolist()} stand on would be empty")


def narrowed_shape(
    shape: tuple[int, ...], axes: GroupAxes | None, removed: Mark
) -> tuple[int, ...]:
    """Return the shape of a value once these groups are gone."""
    if axes is None:
        return shape
    return tuple(
        size if ids is None else int((~removed[ids]).sum())
        for size, ids in zip(shape, axes, strict=True)
    )


def _kept(ids: GroupIds, removed: Mark) -> GroupIds:
    return GroupIds(ids[~removed[ids]])


def _fewer(product: Product[GroupIds], removed: Mark) -> Product[GroupIds]:
    return replace(product, ids=tuple(_kept(ids, removed) for ids in product.ids))


def _filter(axes: GroupAxes, removed: Mark) -> GroupAxes:
    return tuple(None if ids is None else _kept(ids, removed) for ids in axes)


def _elements(shape: tuple[int, ...], axes: GroupAxes | None) -> tuple[int, list[GroupIds]]:
    """Return an initializer's size as a factor and the id arrays whose lengths multiply it."""
    # An axis of no ids keeps its length whatever goes: it is part of the factor.
    known = axes or (None,) * len(shape)
    fixed = prod(size for size, ids in zip(shape, known, strict=True) if ids is None)
    return fixed, [ids for ids in known if ids is not None]
