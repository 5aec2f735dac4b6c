"""Where a model answers, and what stands between that and its logits."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_engine.graph.operators import spec_of
from spectral_engine.onnx_io.hidden_answers import LAYOUTS, PARTS
from spectral_engine.onnx_io.node import Node

LOOKED_THROUGH = {"Identity", "Cast"}
BETWEEN_NORM_AND_DIV = {"Clip", "Max", "Add", "Expand", "Unsqueeze"}
NORMS = {"ReduceL2", "ReduceL1"}


@dataclass(frozen=True)
class Head:
    """Where the model answers: `value` is what the loss reads, before a final softmax or sigmoid."""

    output: str
    value: str
    squashed_by: str | None

    @property
    def squashes_classes(self) -> bool:
        """True where `value` holds the logits of classes: a softmax ends the graph."""
        spec = None if self.squashed_by is None else spec_of(self.squashed_by)
        return spec is not None and spec.squashes == "classes"


def find_head(nodes: list[Node], output: str) -> Head:
    """Look behind an output for its logits."""
    producers = {name: node for node in nodes for name in node.outputs}
    node = _behind(producers, output, LOOKED_THROUGH)
    spec = None if node is None else spec_of(node.op_type, node.domain)
    if node is None or spec is None or spec.squashes is None:
        return Head(output, output, None)
    return Head(output, node.input(0), node.op_type)


def normalised_by(nodes: list[Node], output: str) -> str | None:
    """Say which operator divides an output's rows by their own norm, or None; a LpNormalization, or a Div by a norm."""
    producers = {name: node for node in nodes for name in node.outputs}
    node = _behind(producers, output, LOOKED_THROUGH)
    if node is None:
        return None
    if node.op_type == "LpNormalization":
        return "LpNormalization"
    if node.op_type != "Div":
        return None
    norm = _behind(producers, node.input(1), LOOKED_THROUGH | BETWEEN_NORM_AND_DIV)
    return "Div by a norm" if norm is not None and norm.op_type in NORMS else None


def is_part_of(nodes: list[Node], value: str, whole: str) -> bool:
    """Tell whether a value is another one, or entries of it in another layout, as a column of probabilities."""
    producers = {name: node for node in nodes for name in node.outputs}
    while value != whole:
        node = producers.get(value)
        if node is None or node.op_type not in PARTS | LAYOUTS:
            return False
        value = node.input(0)
    return True


def _behind(producers: dict[str, Node], value: str, through: set[str]) -> Node | None:
    """Return the first node behind a value that is none of these."""
    node = producers.get(value)
    while node is not None and node.op_type in through:
        node = producers.get(node.input(0))
    return node
