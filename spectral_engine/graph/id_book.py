"""The book of node ids: every index of every axis that could be narrowed has an integer id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spectral_engine.graph.node import Node

Ids = NDArray[np.int64]
# One entry per axis of a value: the ids along it, or None where the axis holds no nodes (batch, space).
AxisIds = tuple[Ids | None, ...]

# Where a number stands in a constant: (first output of the node that reads it, input position, entry).
Origin = tuple[str, int, int]

UNKNOWN_PARTNER = "meets values whose nodes are not known"


@dataclass(frozen=True)
class Transfer:
    """A linear map between two layers of nodes, held in one weight initializer.

    `macs_per_link` counts the multiply-adds of one sample for one (in, out) pair of nodes:
    kernel size × output positions. A depthwise transfer links each node to itself only.
    """

    name: str  # the ONNX node's name
    kind: Literal["dense", "conv", "depthwise"]
    weight: str
    out_axis: int
    in_axis: int | None  # None for depthwise
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
class ShapeFact:
    """A number in the graph that states the length of an axis: it must follow when the width changes.

    It equals the length of `axis` of `value`. It stands in the node whose first output is `node`: at `entry` of its
    constant input at position `input`, or in its attribute `attribute` (at `entry` of a list).
    """

    value: str
    axis: int
    node: str
    input: int | None = None
    attribute: str | None = None
    entry: int | None = None


@dataclass
class IdBook:
    """What the coupling rules write in: ids of axes, unifications, pins, transfers, shape facts.

    `shapes` holds the concrete shape of every value of one traced run over `batch` samples;
    `readers` the nodes that read a value.
    """

    shapes: Mapping[str, tuple[int, ...]]
    initializers: frozenset[str]
    axes: dict[str, AxisIds] = field(default_factory=dict)
    edges: list[tuple[Ids, Ids]] = field(default_factory=list)
    pins: list[tuple[Ids, str]] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    facts: list[ShapeFact] = field(default_factory=list)
    size: int = 0
    batch: int = 1
    readers: Mapping[str, Sequence[Node]] = field(default_factory=dict)
    aliases: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    origins: dict[str, tuple[Origin | None, ...]] = field(default_factory=dict)
    made_by: dict[str, int] = field(default_factory=dict)  # output -> index of its transfer

    def fresh(self, count: int) -> Ids:
        """Return `count` new ids."""
        ids = np.arange(self.size, self.size + count, dtype=np.int64)
        self.size += count
        return ids

    def fresh_pinned(self, count: int, reason: str) -> Ids:
        """Return `count` new ids of nodes that must stay."""
        ids = self.fresh(count)
        self.pin(ids, reason)
        return ids

    def ids(self, value: str) -> AxisIds:
        """Return the ids along each axis of a value; nothing is known of a value not yet written."""
        return self.axes.get(value, (None,) * len(self.shapes[value]))

    def axis(self, value: str, axis: int) -> Ids | None:
        """Return the ids along one axis of a value."""
        return self.ids(value)[axis]

    def write(self, value: str, axes: AxisIds) -> None:
        """Set the ids along each axis of a value."""
        self.axes[value] = axes

    def pass_on(self, source: str, target: str, axes: AxisIds | None = None) -> None:
        """Give `target` the ids of `source`, or these, where it has as many axes."""
        found = self.ids(source) if axes is None else axes
        if len(found) == len(self.shapes[target]):
            self.write(target, found)

    def unify(self, left: Ids, right: Ids) -> None:
        """Say that each id of `left` is the same node as its partner in `right`."""
        if left.shape != right.shape:
            raise ValueError(f"cannot unify {left.shape} with {right.shape}")
        self.edges.append((left, right))

    def join(
        self, left: Ids | None, right: Ids | None, reason: str = UNKNOWN_PARTNER
    ) -> Ids | None:
        """Unify two axes that meet, and return their ids; ids that meet an unknown axis must stay."""
        if left is not None and right is not None:
            if left is not right:
                self.unify(left, right)
            return left
        self.pin(left, reason)
        self.pin(right, reason)
        return left if left is not None else right

    def pin(self, ids: Ids | None, reason: str) -> None:
        """Say that these nodes must stay, and why."""
        if ids is not None and ids.size:
            self.pins.append((ids, reason))

    def pin_value(self, value: str, reason: str) -> None:
        """Pin every node along every axis of a value."""
        for ids in self.ids(value):
            self.pin(ids, reason)

    def claim(self, initializer: str, axes: AxisIds) -> None:
        """Give an initializer these ids; what it has already from another reader becomes the same."""
        if initializer not in self.axes:
            self.write(initializer, axes)
            return
        pairs = zip(self.ids(initializer), axes, strict=True)
        reason = f"shares {initializer!r} with an axis whose nodes are not known"
        self.write(initializer, tuple(self.join(old, new, reason) for old, new in pairs))

    def claim_axis(self, initializer: str, axis: int, ids: Ids) -> None:
        """Give one axis of an initializer these ids, none to the others."""
        axes: list[Ids | None] = [None] * len(self.shapes[initializer])
        axes[axis] = ids
        self.claim(initializer, tuple(axes))

    def freeze(self, initializer: str, reason: str) -> None:
        """Say that an initializer keeps its shape, whoever else reads it."""
        if initializer in self.axes:
            self.pin_value(initializer, reason)
        else:
            shape = self.shapes[initializer]
            self.write(initializer, tuple(self.fresh_pinned(n, reason) for n in shape))

    def constant(self, value: str) -> tuple[str, tuple[int, ...]] | None:
        """Return the initializer behind a value and the order of its axes, or None for an activation."""
        if value in self.initializers:
            return value, tuple(range(len(self.shapes[value])))
        return self.aliases.get(value)

    def add_transfer(self, transfer: Transfer) -> None:
        """Record a transfer; its name becomes the output's where another node has the same."""
        self.made_by[transfer.output] = len(self.transfers)
        self.transfers.append(transfer)

    def extend_transfer(self, output: str, **changes: str) -> None:
        """Add to the transfer that made a value what follows directly after it."""
        index = self.made_by[output]
        self.transfers[index] = replace(self.transfers[index], **changes)  # type: ignore[arg-type]  # string fields only
        self.made_by[self.transfers[index].output] = index

    def transfer_before(self, value: str) -> Transfer | None:
        """Return the transfer whose output this is, where nothing else reads that output."""
        if value not in self.made_by or len(self.readers.get(value, ())) != 1:
            return None
        return self.transfers[self.made_by[value]]

    def state_width(
        self,
        node: Node,
        ids: Ids,
        *,
        input: int | None = None,
        attribute: str | None = None,
        entry: int | None = None,
    ) -> None:
        """Record that a number in the graph counts these ids."""
        counter = (
            f"{node.outputs[0]}#{len(self.facts)}"  # a value of this book only, not of the graph
        )
        self.write(counter, (ids,))
        self.facts.append(ShapeFact(counter, 0, node.outputs[0], input, attribute, entry))
