"""One ONNX node, as the operators see it: plain Python values, no protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import NodeRef, UnsupportedOperator


@dataclass(frozen=True)
class Node:
    """A node with its attributes decoded.

    `inputs` holds None for an optional input that is left out, and ends with the values of outer graphs that
    subgraphs of this node read, `captured`. `constants` maps an input's position to its value where that is known
    before anything runs (integer initializers, Constant nodes).
    """

    name: str
    op_type: str
    domain: str
    opset: int
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[int, NDArray[Any]] = field(default_factory=dict)
    captured: tuple[str, ...] = ()

    @property
    def ref(self) -> NodeRef:
        """The node's address in an error."""
        return NodeRef(self.name, self.op_type, self.domain, self.opset)

    def get(self, attribute: str, default: Any) -> Any:
        """Return an attribute, or its default."""
        return self.attributes.get(attribute, default)

    def has_input(self, position: int) -> bool:
        """True when the optional input at this position is given."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def input(self, position: int) -> str:
        """Return the name of an input that must be there."""
        name = self.inputs[position] if position < len(self.inputs) else None
        if name is None:
            raise self.unsupported(f"input {position} is missing")
        return name

    def constant_ints(self, position: int, attribute: str | None = None) -> list[int] | None:
        """Return integers given as a constant input or, in older opsets, as an attribute."""
        if position in self.constants:
            return [int(v) for v in np.atleast_1d(self.constants[position])]
        if attribute is not None and attribute in self.attributes:
            return [int(v) for v in np.atleast_1d(self.attributes[attribute])]
        return None

    def unsupported(self, why: str) -> UnsupportedOperator:
        """Return the error that refuses this node by name."""
        domain = f"{self.domain}::" if self.domain else ""
        return UnsupportedOperator(
            f"node {self.name!r}: {domain}{self.op_type} (opset {self.opset}): {why}", node=self.ref
        )


@dataclass(frozen=True)
class Subgraph:
    """The body of a control flow node, decoded; its nodes may read values of the graphs around it."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]

    def captured(self) -> tuple[str, ...]:
        """Return the names that it reads but does not produce."""
        bound = {*self.inputs, *self.constants, *(name for n in self.nodes for name in n.outputs)}
        read = [name for n in self.nodes for name in n.inputs if name is not None]
        return tuple(dict.fromkeys(name for name in (*read, *self.outputs) if name not in bound))
