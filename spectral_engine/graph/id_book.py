"""The book of node ids: every index of every axis that could be narrowed has an integer id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
# One entry per axis of a value: the ids along it, or None where the axis holds no nodes (batch, space).
AxisIds = tuple[Ids | None, ...]


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


@dataclass(frozen=True)
class ShapeFact:
    """A number in the graph that states a width: it must follow when the width changes.

    It stands in `initializer[entry]`, or in attribute `attribute` of node `node` (at `entry` of a list).
    It equals the length of `axis` of `value`, times `factor`.
    """

    value: str
    axis: int
    initializer: str | None = None
    node: str | None = None
    attribute: str | None = None
    entry: int | None = None
    factor: int = 1


@dataclass
class IdBook:
    """What the coupling rules write in: ids of axes, unifications, pins, transfers, shape facts.

    `shapes` holds the concrete shape of every value of one traced run.
    """

    shapes: Mapping[str, tuple[int, ...]]
    initializers: frozenset[str]
    axes: dict[str, AxisIds] = field(default_factory=dict)
    edges: list[tuple[Ids, Ids]] = field(default_factory=list)
    pins: list[tuple[Ids, str]] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    facts: list[ShapeFact] = field(default_factory=list)
    size: int = 0

    def fresh(self, count: int) -> Ids:
        """Return `count` new ids."""
        ids = np.arange(self.size, self.size + count, dtype=np.int64)
        self.size += count
        return ids

    def ids(self, value: str) -> AxisIds:
        """Return the ids along each axis of a value; nothing is known of a value not yet written."""
        return self.axes.get(value, (None,) * len(self.shapes[value]))

    def write(self, value: str, axes: AxisIds) -> None:
        """Set the ids along each axis of a value."""
        self.axes[value] = axes

    def unify(self, left: Ids, right: Ids) -> None:
        """Say that each id of `left` is the same node as its partner in `right`."""
        if left.shape != right.shape:
            raise ValueError(f"cannot unify {left.shape} with {right.shape}")
        self.edges.append((left, right))

    def pin(self, ids: Ids | None, reason: str) -> None:
        """Say that these nodes must stay, and why."""
        if ids is not None:
            self.pins.append((ids, reason))

    def pin_value(self, value: str, reason: str) -> None:
        """Pin every node along every axis of a value."""
        for ids in self.ids(value):
            self.pin(ids, reason)
