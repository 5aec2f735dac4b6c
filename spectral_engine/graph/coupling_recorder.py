"""The book of node ids: every index of every axis that could be narrowed has an integer id.

The rules of the operators write in it, in the order of the graph, so that a rule finds the ids of what its node reads.
Ids are joined and pinned, and never taken apart or set free again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Generic, Literal

import numpy as np
from numpy.typing import NDArray

from spectral_engine.graph.ids import AnyIds, GroupIds, NodeAxes, NodeIds
from spectral_engine.onnx_io.node import Node

MixKind = Literal["sum", "mean", "lowest", "highest", "norm"]

UNKNOWN_PARTNER = "meets values whose nodes are not known"
NO_NODES = "reads values that are not nodes"


@dataclass(frozen=True)
class Origin:
    """Where a number of an integer vector stands: at `entry` of a node's constant input at position `input`.

    Where the vector holds a multiple of that number, as heads × batch, `times` is the other factor of the traced run.
    """

    node: Node
    input: int
    entry: int
    times: int = 1

    @property
    def number(self) -> int:
        """The number as it stands."""
        return int(self.node.constants[self.input].reshape(-1)[self.entry])


@dataclass(frozen=True)
class Follows:
    """A number that is read from the shape of a value when the model runs: the length of one of its axes."""

    value: str
    axis: int


Source = Origin | Follows | None  # None: computed in a way that is not followed


@dataclass(frozen=True)
class Transfer:
    """A linear map between two layers of nodes, held in one weight initializer.

    `macs_per_link` counts the multiply-adds of one sample for one (in, out) pair of nodes:
    kernel size × output positions. A grouped transfer links the nodes of one group to one another only:
    what it reads goes with what it makes, and it has no axis of its own for that. A lookup takes rows of a table by
    index: what it reads are the entries of a vocabulary, which stay, and it multiplies nothing.
    """

    name: str  # the ONNX node's name
    kind: Literal["dense", "conv", "grouped", "recurrent", "lookup"]
    weight: str
    out_axis: int
    in_axis: int | None  # None for grouped
    bias: str | None  # initializer added to the output, one entry per output node
    source: str  # value that comes in
    output: str  # value that goes out, bias included
    macs_per_link: int
    norm_scale: str | None = None  # γ of a BatchNormalization directly after, the gate in its place
    norm_bias: str | None = None  # β of that BatchNormalization
    norm_mean: str | None = None  # running mean of that BatchNormalization
    gain: float = (
        1.0  # what a constant input leaves, over the kernel's sum: 1/stride where it spreads
    )


@dataclass(frozen=True)
class ShapeFact(Generic[AnyIds]):
    """A number in the graph that states the length of an axis: it must follow when the width changes.

    It counts `ids`. It stands in the node whose first output is `node`: at `entry` of its constant input at
    position `input`, or in its attribute `attribute` (at `entry` of a list). `old` is the whole constant as it came.
    """

    ids: AnyIds
    node: str
    input: int | None = None
    attribute: str | None = None
    entry: int | None = None
    sign: int = 1  # −1 where the number counts from the end
    old: NDArray[np.int64] | None = None

    def over(self, groups: GroupIds) -> ShapeFact[GroupIds]:
        """Return the same said of node groups."""
        return ShapeFact(
            groups, self.node, self.input, self.attribute, self.entry, self.sign, self.old
        )


@dataclass(frozen=True)
class Frozen:
    """Numbers that a node is given by what it computes from widths, and that must not follow them.

    The node whose first output is `node` reads them at input position `input`.
    """

    node: str
    input: int
    numbers: NDArray[np.int64]


@dataclass(frozen=True)
class Mix(Generic[AnyIds]):
    """A place where an operator computes across nodes without a weight: a norm, a softmax, a sum.

    The node whose first output is `node` reads at input position `input` a value whose `axis` holds `ids`.
    `kind` says how a node that is silenced, but still in place, is kept out of it.
    """

    node: str
    input: int
    axis: int
    rank: int
    ids: AnyIds
    kind: MixKind

    def over(self, groups: GroupIds) -> Mix[GroupIds]:
        """Return the same said of node groups."""
        return Mix(self.node, self.input, self.axis, self.rank, groups, self.kind)


@dataclass(frozen=True)
class Product(Generic[AnyIds]):
    """Multiply-adds of one sample without a weight (attention): factor × Π lengths of the id arrays."""

    factor: int
    ids: tuple[AnyIds, ...]


@dataclass
class CouplingRecorder:
    """What the coupling rules write in: ids of axes, unifications, pins, transfers, shape facts.

    `shapes` holds the concrete shape of every value of one traced run over `batch` samples;
    `readers` the nodes that read a value.
    """

    shapes: Mapping[str, tuple[int, ...]]
    initializers: frozenset[str]
    float_initializers: frozenset[str] = frozenset()
    # What is said of places: the ids of each value's axes, which of them are one node, and which must stay.
    axes: dict[str, NodeAxes] = field(default_factory=dict)
    edges: list[tuple[NodeIds, NodeIds]] = field(default_factory=list)
    pins: list[tuple[NodeIds, str]] = field(default_factory=list)
    # What is said of operators: linear maps, numbers that state widths, sums over nodes, products without a weight.
    transfers: list[Transfer] = field(default_factory=list)
    facts: list[ShapeFact[NodeIds]] = field(default_factory=list)
    mixes: list[Mix[NodeIds]] = field(default_factory=list)
    products: list[Product[NodeIds]] = field(default_factory=list)
    # What the traced run told of integers: their values, and which values change with the inputs' entries.
    numbers: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # integer vectors of the run
    varying: frozenset[str] = frozenset()
    # What helps the rules: where widths are stated already, transposed initializers, where integers come from.
    stated: dict[tuple[str, int | None, str | None, int | None], NodeIds] = field(
        default_factory=dict
    )
    size: int = 0
    batch: int = 1
    merged: list[tuple[str, int]] = field(
        default_factory=list
    )  # axes that nodes are merged with, or into
    readers: Mapping[str, Sequence[Node]] = field(default_factory=dict)
    aliases: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    origins: dict[str, tuple[Source, ...]] = field(default_factory=dict)
    made_by: dict[str, int] = field(default_factory=dict)  # output -> index of its transfer

    def fresh(self, count: int) -> NodeIds:
        """Return `count` new ids."""
        # Counted up and never reused: an id belongs to one index of one axis, until it is joined with others.
        ids = NodeIds(np.arange(self.size, self.size + count, dtype=np.int64))
        self.size += count
        return ids

    def fresh_pinned(self, count: int, reason: str) -> NodeIds:
        """Return `count` new ids of nodes that must stay."""
        ids = self.fresh(count)
        self.pin(ids, reason)
        return ids

    def ids(self, value: str) -> NodeAxes:
        """Return the ids along each axis of a value; nothing is known of a value not yet written."""
        return self.axes.get(value, (None,) * len(self.shapes[value]))

    def axis(self, value: str, axis: int) -> NodeIds | None:
        """Return the ids along one axis of a value."""
        return self.ids(value)[axis]

    def write(self, value: str, axes: NodeAxes) -> None:
        """Set the ids along each axis of a value."""
        self.axes[value] = axes

    def pass_on(self, source: str, target: str, axes: NodeAxes | None = None) -> None:
        """Give `target` the ids of `source`, or these, where it has as many axes."""
        along = self.ids(source) if axes is None else axes
        if len(along) == len(self.shapes[target]):
            self.write(target, along)
            return
        # With another rank it is not told which axis became which: whoever reads the target could not be narrowed.
        self.pin_value(source, "is given axes that are not followed")

    def nodes_of(self, value: str, axis: int) -> NodeIds:
        """Return the ids along an axis that a transfer reads; new ones that must stay where it holds no nodes."""
        # A weight's axis needs ids even where the data's are not known; unknown nodes cannot go, so these must stay.
        ids = self.axis(value, axis)
        return self.fresh_pinned(self.shapes[value][axis], NO_NODES) if ids is None else ids

    def positions(self, value: str, *node_axes: int) -> int:
        """Return the places of one sample in a value, leaving these axes out."""
        # Costs are those of one sample, so that the traced batch is divided out.
        shape = self.shapes[value]
        count = prod(shape) // max(1, prod(shape[axis] for axis in node_axes))
        return max(1, count // self.batch)

    def mix(self, node: Node, input: int, axis: int, kind: MixKind) -> None:
        """Record that an operator computes across the nodes of an axis of one of its inputs."""
        self.mix_along(node, input, node.input(input), axis, kind)

    def mix_along(self, node: Node, input: int, value: str, axis: int, kind: MixKind) -> None:
        """Record the same where the nodes stand in another value, of the same shape."""
        # An axis without nodes loses none: nothing has to be kept out of it.
        ids = self.axis(value, axis)
        if ids is not None:
            rank = len(self.shapes[value])
            self.mixes.append(Mix(node.outputs[0], input, axis % rank, rank, ids, kind))

    def unify(self, left: NodeIds, right: NodeIds) -> None:
        """Say that each id of `left` is the same node as its partner in `right`."""
        if left.shape != right.shape:
            raise ValueError(f"cannot unify {left.shape} with {right.shape}")
        self.edges.append((left, right))

    def unify_rows(self, rows: NodeIds) -> NodeIds:
        """Make each row of a table [rows, members] one node; return the first id of each row."""
        # A star of edges to the first member connects a row as well as all pairs would, with the fewest of them.
        first = NodeIds(rows[:, 0].copy())
        if rows.shape[1] > 1:
            self.unify(NodeIds(np.repeat(first, rows.shape[1])), NodeIds(rows.reshape(-1)))
        return first

    def join(
        self, left: NodeIds | None, right: NodeIds | None, reason: str = UNKNOWN_PARTNER
    ) -> NodeIds | None:
        """Unify two axes that meet, and return their ids; ids that meet an unknown axis must stay."""
        # Both known: they are the same nodes. One unknown: the other cannot go, for nobody would narrow its partner.
        if left is not None and right is not None:
            if left is not right:
                self.unify(left, right)
            return left
        self.pin(left, reason)
        self.pin(right, reason)
        return left if left is not None else right

    def pin(self, ids: NodeIds | None, reason: str) -> None:
        """Say that these nodes must stay, and why."""
        if ids is not None and ids.size:
            self.pins.append((ids, reason))

    def is_pinned(self, ids: NodeIds) -> bool:
        """Say whether these very ids were pinned already; what they are coupled with may be, later."""
        return any(np.isin(ids, pinned).any() for pinned, _ in self.pins)

    def pin_value(self, value: str, reason: str) -> None:
        """Pin every node along every axis of a value."""
        for ids in self.ids(value):
            self.pin(ids, reason)

    def claim(self, initializer: str, axes: NodeAxes) -> None:
        """Give an initializer these ids; what it has already from another reader becomes the same."""
        # The first reader gives the ids; every further one shares the same numbers, and so the same nodes.
        if initializer not in self.axes:
            self.write(initializer, axes)
            return
        pairs = zip(self.ids(initializer), axes, strict=True)
        reason = f"shares {initializer!r} with an axis whose nodes are not known"
        self.write(initializer, tuple(self.join(old, new, reason) for old, new in pairs))

    def freeze(self, initializer: str, reason: str) -> None:
        """Say that an initializer keeps its shape, whoever else reads it."""
        # Written even where nobody has read it yet: a later claim then meets ids that are pinned.
        if initializer in self.axes:
            self.pin_value(initializer, reason)
        else:
            shape = self.shapes[initializer]
            self.write(initializer, tuple(self.fresh_pinned(n, reason) for n in shape))

    def attach(self, value: str, axes: NodeAxes, reason: str = UNKNOWN_PARTNER) -> None:
        """Give a parameter these ids, whether it is an initializer, turned or not, or computed."""
        # Exporters transpose weights in the graph: surgery narrows the initializer, so its own axes get the ids.
        source = self.constant(value)
        if source is not None:
            initializer, order = source
            turned: list[NodeIds | None] = [None] * len(axes)
            for axis, initializer_axis in enumerate(order):
                turned[initializer_axis] = axes[axis]
            self.claim(initializer, tuple(turned))
            return
        # A computed parameter has ids from the node that makes it.
        for along, ids in zip(self.ids(value), axes, strict=True):
            self.join(along, ids, reason)

    def is_weight(self, value: str) -> bool:
        """Say whether a float initializer is behind a value, turned or not."""
        source = self.constant(value)
        return source is not None and source[0] in self.float_initializers

    def depends_on_input(self, value: str) -> bool:
        """Say whether a value changes with what the model is given, and not with its shape alone."""
        return value in self.varying

    def constant(self, value: str) -> tuple[str, tuple[int, ...]] | None:
        """Return the initializer behind a value and the order of its axes, or None for an activation."""
        if value in self.initializers:
            return value, tuple(range(len(self.shapes[value])))
        return self.aliases.get(value)

    def add_transfer(self, transfer: Transfer) -> None:
        """Record a transfer; what follows its output directly may belong to it."""
        self.made_by[transfer.output] = len(self.transfers)
        self.transfers.append(transfer)

    def add_inner_transfer(self, transfer: Transfer) -> None:
        """Record a transfer whose output is not directly what it computes: nothing that follows belongs to it."""
        self.transfers.append(transfer)

    def close_transfer(self, output: str) -> None:
        """Say that what follows a transfer does not belong to it: an activation lies between."""
        self.made_by.pop(output, None)

    def extend_transfer(self, made: str, **changes: str) -> None:
        """Add to the transfer that made a value what follows directly after it."""
        # A bias moves the transfer's output on: a norm after it is still directly after the transfer.
        index = self.made_by[made]
        self.transfers[index] = replace(self.transfers[index], **changes)  # type: ignore[arg-type]  # string fields only
        self.made_by[self.transfers[index].output] = index

    def transfer_before(self, value: str) -> Transfer | None:
        """Return the transfer whose output this is, where nothing else reads that output."""
        # A second reader would see the value before what is added to the transfer: it must stay a value of its own.
        if value not in self.made_by or len(self.readers.get(value, ())) != 1:
            return None
        return self.transfers[self.made_by[value]]

    def state_width(
        self,
        node: Node,
        ids: NodeIds,
        *,
        input: int | None = None,
        attribute: str | None = None,
        entry: int | None = None,
        sign: int = 1,
    ) -> None:
        """Record that a number in a node's constant input or attribute counts these ids."""
        # One number is written once: where two axes are counted by it, it is true of both or false of one.
        where = (node.outputs[0], input, attribute, entry)
        if where in self.stated:
            self._state_again(self.stated[where], ids)
            return
        self.stated[where] = ids
        old = node.constants.get(input) if input is not None else None
        self.facts.append(ShapeFact(ids, node.outputs[0], input, attribute, entry, sign, old))

    def _state_again(self, before: NodeIds, ids: NodeIds) -> None:
        """One number that counts two axes: they can only be narrowed alike."""
        # Equal lengths stay equal where the i-th nodes of both go together.
        if before.shape == ids.shape:
            self.unify(before, ids)
            return
        self.pin(before, "its width stands in a constant that another axis reads")
        self.pin(ids, "its width stands in a constant that another axis reads")
