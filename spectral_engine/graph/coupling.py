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
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spectral_engine.graph.bodies import BodyKey, book_border, graphs_of, is_if
from spectral_engine.graph.coupling_recorder import CouplingRecorder, Frozen, Product, Transfer
from spectral_engine.graph.ids import GroupIds, NodeIds
from spectral_engine.graph.layers import find_layers
from spectral_engine.graph.module import OnnxModule, carrying_inputs
from spectral_engine.graph.node_groups import Coupling, Mark, check_removable, narrowed_shape
from spectral_engine.graph.operators import find_spec, spec_of
from spectral_engine.graph.read_widths import pin_answered, pin_computed
from spectral_engine.graph.trace import Trace, any_open, at_other_sizes, trace, traced_batch
from spectral_engine.onnx_io.node import Node
from spectral_engine.onnx_io.nodes import graph_nodes

__all__ = [
    "Coupling",
    "Mark",
    "book_nodes",
    "check_removable",
    "close_book",
    "couple",
    "narrowed_shape",
]

T = TypeVar("T")
UNMADE = "no transfer makes it"


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
    # One run shows one size of every open axis. Where a rule merged such an axis with nodes, a second run at another
    # size tells which places belong to nodes and which to the size.
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
        key: [_with_known(node, body.known) for node in body.nodes]
        for key, body in traced.bodies.items()
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
            *(carrying_inputs(inside[key], body.around) for key, body in traced.bodies.items())
        ),
    )
    for node in nodes:
        if node.name in module.beside:
            continue
        _book(
            node, book, inside, partial(book_border, bodies=traced.bodies, untaken=module.untaken)
        )
    # The caller counts on the shape of what the model answers.
    for name in module.output_names:
        book.pin_value(name, "graph output")
    # Last: only when all rules have run is it known where the numbers come from that a node computes with.
    pin_computed(book, every)
    pin_answered(book, (value.name or "" for value in module.model.graph.outputs))
    _keep_beside(book, [node for node in nodes if node.name in module.beside])
    return book, nodes


def _book(
    node: Node,
    book: CouplingRecorder,
    inside: Mapping[BodyKey, Iterable[Node]],
    border: Callable[[Node, CouplingRecorder], None],
) -> None:
    """Run a node's rule, or those of all nodes in its bodies."""
    if not is_if(node):
        book_nodes(book, [node])
        return
    # Inside first: the border then joins what the branches answer with what the If gives, ids that must exist by then.
    for key in graphs_of(node):
        for inner in inside.get(key, []):
            _book(inner, book, inside, border)
    border(node, book)


def _pin_unsteady(
    book: CouplingRecorder, other: CouplingRecorder, initializers: Iterable[str]
) -> None:
    """Pin the nodes whose places in the initializers were others in a run of other sizes, or had to stay there.

    Where nodes are mixed with rows or with a free length, how they lie may be an accident of the traced sizes.
    """
    reason = "lies otherwise with other rows or lengths"
    groups, partners = _components(book)[1], _components(other)[1]
    # Parameters have the same shapes in both runs, values have not: so runs are compared at parameters.
    met: list[NDArray[np.int64]] = []  # of every place: its group in both runs [2, places]
    for name in initializers:
        for ids, along in zip(book.ids(name), other.ids(name), strict=True):
            if ids is not None and along is not None:
                met.append(np.stack([groups[ids], partners[along]]))
            else:
                book.pin(ids, reason)
    if not met:
        return
    # Node ids are numbered anew in each run, but a group that does not depend on the size covers the same places of
    # the parameters: then both numberings are a bijection on it. A group of one run that meets two of the other was
    # joined, or torn, by the size alone.
    pairs = np.unique(np.concatenate(met, axis=1), axis=1)  # [2, pairs that meet]
    kept = np.unique(partners[np.concatenate([*(ids for ids, _ in other.pins), pairs[:0, 0]])])
    steady = np.isin(pairs[1], kept, invert=True)  # [pairs]: free to go in the other run as well
    for side in pairs:
        # As often as a group stands in this row, so many partners it has.
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
    # None stands for an axis that cannot be narrowed at all, as an axis of rows.
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

    # A table whose columns are made by layers, too, goes along with them and has no say. One whose columns nothing
    # else makes, as the embedding at the bottom of a stack without a residual stream, is their only transfer.
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
        # The first reason stays: rules run in the order of the graph, so that it is the one nearest to the input.
        reasons.update(dict.fromkeys(among[~pinned[among]].tolist(), reason))
        pinned[among] = True
    # What no transfer makes has no weight that could be taken away with it: inputs, constants, positions.
    unmade = ~_made(transfers, book, groups, count)
    reasons.update(dict.fromkeys(np.flatnonzero(unmade & ~pinned).tolist(), UNMADE))
    return pinned | unmade, reasons


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
