"""Node coupling: which places of which tensors must be removed together.

1. Trace: run the model for the shape of every value, and for the integers that it works out on the way.
2. Record: every index of every axis that could be narrowed gets a node id; in the order of the graph, each operator's
   rule says which ids are the same node, which must stay, and which numbers state a width.
3. Close: the node groups are the connected components; what was recorded of ids is now said of groups.

The invariant that all of it serves: a group is removed from every place where it stands, or from none, so that the cut
graph is sound and computes what the original does with these nodes silenced.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spectral_engine.graph.bodies import book_border, graphs_of, is_if
from spectral_engine.graph.cost import ProductSum
from spectral_engine.graph.coupling_recorder import (
    CouplingRecorder,
    Frozen,
    Mix,
    Product,
    ShapeFact,
    Transfer,
)
from spectral_engine.graph.ids import GroupAxes, GroupIds, NodeIds
from spectral_engine.graph.layers import Layer, find_layers
from spectral_engine.graph.module import OnnxModule, carrying_inputs
from spectral_engine.graph.operators import find_spec, spec_of
from spectral_engine.graph.read_widths import pin_answered, pin_computed
from spectral_engine.graph.trace import Trace, any_open, at_other_sizes, trace, traced_batch
from spectral_engine.onnx_io.node import Node
from spectral_engine.onnx_io.nodes import graph_nodes

Mark = NDArray[np.bool_]
T = TypeVar("T")
UNMADE = "no transfer makes it"


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


def couple(
    module: OnnxModule,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    *,
    traced: Trace | None = None,
) -> Coupling:
    """Find the node groups of a model; `shapes` of its inputs, where data tells more than the model declares.

    `traced` is what a trace of this module has told already.
    """
    traced = traced or trace(module, shapes)
    # Float initializers are the parameters; integers are shapes, axes and indices, and cost nothing.
    bits = {
        name: int(value.dtype.bitwidth)
        for name, value in module.model.graph.initializers.items()
        if name in traced.shapes and value.dtype is not None and value.dtype.is_floating_point()
    }
    floats = {name: traced.shapes[name] for name in bits}
    book, nodes = _record(module, traced, floats)
    if book.merged and any_open(module, traced, book.merged):
        for other in at_other_sizes(module, traced):
            _pin_unsteady(book, _record(module, other, floats)[0], floats)
    # After the rules: they decide which numbers state widths, and all other settled ones keep their value.
    frozen = _freeze(nodes, {*module.plan.known, *module.model.graph.initializers})
    return replace(close_book(book, floats), frozen=frozen, bits=bits)


def _record(
    module: OnnxModule, traced: Trace, floats: Collection[str]
) -> tuple[CouplingRecorder, list[Node]]:
    """Return all that the rules say of one traced run, and the nodes with what is settled of their integers."""
    # Nodes as the file has them, not as the module runs them: with a frozen batch these differ, and the file is cut.
    nodes = graph_nodes(module.model)
    varying = carrying_inputs(nodes, module.input_names)
    # An integer may be taken as constant only where no batch, no free length and no entry of an input changes it.
    numbers = {name: value.numpy() for name, value in traced.numbers.items()}
    known = {name: numbers[name] for name in traced.settled if name not in varying}
    nodes = [_with_known(node, known) for node in nodes]
    inside = {
        place: [_with_known(node, body.known) for node in body.nodes]
        for place, body in traced.bodies.items()
    }
    bodies = traced.bodies.values()
    every = [*nodes, *chain.from_iterable(inside.values())]
    book = CouplingRecorder(
        _together(traced.shapes, *(body.shapes for body in bodies)),
        frozenset(module.model.graph.initializers),
        frozenset(floats),
        batch=traced_batch(module),
        readers=_readers(every),
        numbers=_together(numbers, *(body.numbers for body in bodies)),
        varying=varying.union(
            *(carrying_inputs(inside[place], body.around) for place, body in traced.bodies.items())
        ),
    )
    for node in nodes:
        if node.name in module.beside:
            continue
        if is_if(node):
            for place in graphs_of(node):
                book_nodes(book, inside.get(place, []))
            book_border(node, book, traced.bodies, module.untaken)
        else:
            book_nodes(book, [node])
    # The caller counts on the shape of what the model answers.
    for name in module.output_names:
        book.pin_value(name, "graph output")
    pin_computed(book, every)
    pin_answered(book, (value.name or "" for value in module.model.graph.outputs))
    _keep_beside(book, [node for node in nodes if node.name in module.beside])
    return book, nodes


def _pin_unsteady(
    book: CouplingRecorder, other: CouplingRecorder, initializers: Iterable[str]
) -> None:
    """Pin the nodes whose places in the initializers were others in a run of other sizes, or had to stay there.

    Where nodes are mixed with rows or with a free length, how they lie may be an accident of the traced sizes.
    """
    reason = "lies otherwise with other rows or lengths"
    groups, partners = _components(book)[1], _components(other)[1]
    met: list[NDArray[np.int64]] = []  # of every place: its group in both runs [2, places]
    for name in initializers:
        for ids, along in zip(book.ids(name), other.ids(name), strict=True):
            if ids is not None and along is not None:
                met.append(np.stack([groups[ids], partners[along]]))
            else:
                book.pin(ids, reason)
    if not met:
        return
    pairs = np.unique(np.concatenate(met, axis=1), axis=1)
    kept = np.unique(partners[np.concatenate([*(ids for ids, _ in other.pins), pairs[:0, 0]])])
    steady = np.isin(pairs[1], kept, invert=True)
    for side in pairs:
        steady &= np.bincount(side)[side] == 1
    unsteady = np.isin(groups, pairs[0][~steady])
    book.pin(NodeIds(np.flatnonzero(unsteady)), reason)


def _together(first: Mapping[str, T], *others: Mapping[str, T]) -> Mapping[str, T]:
    """Return what any of these holds; what stands in several is that of the first."""
    return {name: value for one in (*others, first) for name, value in one.items()}


def book_nodes(book: CouplingRecorder, nodes: Iterable[Node]) -> None:
    """Run every node's coupling rule, in the order of the graph."""
    for node in nodes:
        # Without a rule nothing is known of what the operator does with places: whatever it touches stays.
        rule = find_spec(node).coupling or _pin_around
        rule(node, book)


def _keep_beside(book: CouplingRecorder, nodes: Iterable[Node]) -> None:
    """Pin what is read by nodes that are not computed: they take it as it is."""
    for node in nodes:
        reason = f"is read by {node.op_type}, which stays as it is"
        for name in node.inputs:
            if name is None or name not in book.shapes:
                continue  # it is made by such a node itself
            if name in book.initializers:
                book.freeze(name, reason)
            else:
                book.pin_value(name, reason)


def _with_known(node: Node, known: Mapping[str, NDArray[Any]]) -> Node:
    """Give a node the integers that are the same in every run, not only those that stand in the file."""
    settled = {
        position: known[name]
        for position, name in enumerate(node.inputs)
        if name is not None and name in known
    }
    # What the file says comes last, and wins: it is what surgery can rewrite in place.
    return replace(node, constants={**settled, **node.constants})


def _freeze(nodes: Iterable[Node], written: Collection[str]) -> tuple[Frozen, ...]:
    """Return the settled numbers that nodes compute from widths: they stay as they are, whatever narrows."""
    # Computed from a width, such a number would follow it when the cut graph runs; where no rule says that it counts
    # nodes, it must not. Those of which a rule does are rewritten by surgery, over these.
    return tuple(
        Frozen(node.outputs[0], position, numbers)
        for node in nodes
        if (spec := spec_of(node.op_type, node.domain)) is None or not spec.reads_shape_alone
        for position, numbers in node.constants.items()
        if node.inputs[position] not in written
    )


def close_book(book: CouplingRecorder, sizes: Mapping[str, tuple[int, ...]]) -> Coupling:
    """Turn unifications into groups; `sizes` are the shapes of the float initializers."""
    count, group_of = _components(book)

    # The one place where a node id becomes a group number: all that the rules recorded passes through here.
    def groups(ids: NodeIds) -> GroupIds:
        return GroupIds(group_of[ids])

    transfers = _making(book, groups, count)
    pinned, reasons = _pinned(book, transfers, groups, count)
    axes = {
        name: tuple(None if ids is None else groups(ids) for ids in along)
        for name, along in book.axes.items()
    }
    return Coupling(
        axes=axes,
        count=count,
        pinned=pinned,
        reasons=reasons,
        transfers=transfers,
        facts=tuple(fact.over(groups(fact.ids)) for fact in book.facts),
        frozen=(),
        mixes=tuple(mix.over(groups(mix.ids)) for mix in book.mixes),
        products=tuple(
            Product(item.factor, tuple(groups(ids) for ids in item.ids)) for item in book.products
        ),
        layers=find_layers(transfers, axes, pinned, reasons),
        sizes=dict(sizes),
    )


def _components(book: CouplingRecorder) -> tuple[int, NDArray[np.int64]]:
    """Return how many groups there are, and the group of every node id [ids]."""
    # Unification is an equivalence: its classes are the connected components of the graph whose vertices are the
    # node ids and whose edges are the pairs that a rule made one. An id that no rule joined is a group of its own.
    empty = np.empty(0, dtype=np.int64)
    left = np.concatenate([*(a for a, _ in book.edges), empty])
    right = np.concatenate([*(b for _, b in book.edges), empty])
    links = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(book.size, book.size))
    count, labels = connected_components(links, directed=False)
    return int(count), labels.astype(np.int64)


def _making(
    book: CouplingRecorder, groups: Callable[[NodeIds], GroupIds], count: int
) -> tuple[Transfer, ...]:
    """Return the transfers that make nodes: of the lookups only those whose nodes no other transfer makes."""
    # Where layers write into the same nodes, as in a residual stream, their weights tell which nodes matter.
    maps = [transfer for transfer in book.transfers if transfer.kind != "lookup"]
    made = _made(maps, book, groups, count)

    def is_needed(transfer: Transfer) -> bool:
        ids = book.axes[transfer.weight][transfer.out_axis]
        return ids is not None and not made[groups(ids)].all()

    return tuple(t for t in book.transfers if t.kind != "lookup" or is_needed(t))


def _made(
    transfers: Iterable[Transfer],
    book: CouplingRecorder,
    groups: Callable[[NodeIds], GroupIds],
    count: int,
) -> Mark:
    """Mark the groups that these transfers make [count]."""
    made = np.zeros(count, dtype=bool)
    for transfer in transfers:
        ids = book.axes[transfer.weight][transfer.out_axis]
        if ids is not None:
            made[groups(ids)] = True
    return made


def _pinned(
    book: CouplingRecorder,
    transfers: Iterable[Transfer],
    groups: Callable[[NodeIds], GroupIds],
    count: int,
) -> tuple[Mark, dict[int, str]]:
    """Mark the groups that must stay [count], and say why: the first reason that was given."""
    pinned = np.zeros(count, dtype=bool)
    reasons: dict[int, str] = {}
    # A group goes as a whole or not at all, so that one pinned member pins all of it.
    for ids, reason in book.pins:
        among = np.unique(groups(ids))
        reasons.update(dict.fromkeys(among[~pinned[among]].tolist(), reason))
        pinned[among] = True
    # What no transfer makes has no weight that could be taken away with it: inputs, constants, positions.
    unmade = ~_made(transfers, book, groups, count)
    reasons.update(dict.fromkeys(np.flatnonzero(unmade & ~pinned).tolist(), UNMADE))
    return pinned | unmade, reasons


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


def _pin_around(node: Node, book: CouplingRecorder) -> None:
    reason = f"operator {node.op_type} has no coupling rule"
    for name in node.inputs:
        if name is None:
            continue
        # An initializer may get ids from another reader later: it is frozen, not only pinned as far as it is known.
        if name in book.initializers:
            book.freeze(name, reason)
        else:
            book.pin_value(name, reason)


def _readers(nodes: Iterable[Node]) -> dict[str, list[Node]]:
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.inputs:
            if name is not None:
                readers.setdefault(name, []).append(node)
    return readers


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
