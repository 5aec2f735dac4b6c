"""Where a model answers, and what stands between that and its logits."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_engine.onnx_io.node import Node

SQUASHING = {"Softmax": "classification", "LogSoftmax": "classification", "Sigmoid": "binary"}


@dataclass(frozen=True)
class Head:
    """Where the model answers: `value` is what the loss reads, before a final softmax or sigmoid."""

    output: str
    value: str
    squashed_by: str | None


def find_head(nodes: list[Node], output: str) -> Head:
    """Look behind an output for its logits."""
    producers = {name: node for node in nodes for name in node.outputs}
    node = producers.get(output)
    while node is not None and node.op_type in {"Identity", "Cast"}:
        node = producers.get(node.input(0))
    if node is not None and node.op_type in SQUASHING:
        return Head(output, node.input(0), node.op_type)
    return Head(output, output, None)
