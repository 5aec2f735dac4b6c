"""What a detector's finished boxes were chosen from: the values before suppression, sorting and gathering.

A place in a list of boxes is no place in the image, and no gradient tells which box should have been chosen. The values
before that have both.
"""

from __future__ import annotations

from collections.abc import Sequence

from spectral_engine.onnx_io.hidden_answers import LAYOUTS, OF_SHAPES, TRANSFERS
from spectral_engine.onnx_io.node import Node

CHOOSING = {"NonMaxSuppression": (0, 1), "TopK": (0,), "ArgMax": (0,), "NonZero": (0,)}
GATHERING = {"Gather", "GatherElements", "GatherND"}
# What lays values out anew, or compares them with a threshold: the same stands before it.
PASSED = LAYOUTS | {"Transpose", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}

# What computes across nodes with weights: a choice before that is one of the network's own.
WEIGHED = TRANSFERS | {
    *("ConvTranspose", "ConvInteger", "Attention", "MultiHeadAttention", "LSTM", "GRU", "RNN"),
    *("LayerNormalization", "BatchNormalization", "GroupNormalization", "InstanceNormalization"),
}


def before_selection(nodes: Sequence[Node], outputs: Sequence[str]) -> tuple[str, ...]:
    """Return the values that some outputs are chosen from, none where nothing is chosen between weights and outputs."""
    search = _Search(nodes)
    sources: dict[str, None] = {}
    for output in outputs:
        if search.is_chosen(output):
            sources.update(dict.fromkeys(search.sources(output)))
    return tuple(sources)


class _Search:
    """Walks from outputs back to what they were chosen from; beyond weights nothing is looked for."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.producers = {name: node for node in nodes for name in node.outputs}
        self.chosen: dict[str, bool] = {}
        self.trained: dict[str, bool] = {}
        self.named: dict[str, tuple[str, ...]] = {}

    def is_chosen(self, value: str) -> bool:
        """Say whether a choice stands between the last weights and this value."""
        if value not in self.chosen:
            node = self.producers.get(value)
            self.chosen[value] = node is not None and self._chooses(node)
        return self.chosen[value]

    def sources(self, value: str) -> tuple[str, ...]:
        """Return what a chosen value was chosen from; any other value is its own source."""
        if value not in self.named:
            behind: dict[str, None] = {}
            for name in self._behind(value):
                behind.update(dict.fromkeys(self.sources(name)))
            self.named[value] = tuple(behind) or (self._laid_out_from(value),)
        return self.named[value]

    def _behind(self, value: str) -> list[str]:
        """Return what a chosen value is made of or chosen from, without constants and shapes."""
        node = self.producers.get(value)
        if node is None or not self.is_chosen(value):
            return []
        read = _read(node)
        if node.op_type in CHOOSING:
            return [
                node.input(position)
                for position in CHOOSING[node.op_type]
                if node.has_input(position)
            ]
        if node.op_type in GATHERING and self.is_chosen(node.input(1)):
            return [node.input(0), *(name for name in read[1:] if self.is_chosen(name))]
        return [name for name in read if self.is_chosen(name) or self._is_trained(name)]

    def _is_trained(self, value: str) -> bool:
        """Say whether weights stand behind a value."""
        if value not in self.trained:
            node = self.producers.get(value)
            self.trained[value] = node is not None and (
                node.op_type in WEIGHED
                or (node.op_type not in OF_SHAPES and any(map(self._is_trained, _read(node))))
            )
        return self.trained[value]

    def _chooses(self, node: Node) -> bool:
        if node.op_type in CHOOSING:
            return True
        if node.op_type in WEIGHED:
            return False
        return any(map(self.is_chosen, _read(node)))

    def _laid_out_from(self, value: str) -> str:
        node = self.producers.get(value)
        while node is not None and node.op_type in PASSED and node.has_input(0):
            value = node.input(0)
            node = self.producers.get(value)
        return value


def _read(node: Node) -> list[str]:
    return [name for name in node.inputs if name is not None]
