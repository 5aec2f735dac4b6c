"""What of a graph is computed here, and what is kept in the file beside it: labels, maps, and whatever makes them.

A model is trained by its float answers. Nodes that lead to none of these need no torch function: surgery leaves them as
they are, and what they read stays whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from spectral_engine.graph.leading import leading_to
from spectral_engine.graph.operators import spec_of
from spectral_engine.graph.operators.types import TORCH_TYPES
from spectral_engine.onnx_io.hidden_answers import kept_hidden
from spectral_engine.onnx_io.node import Node


@dataclass(frozen=True)
class Part:
    """The part of a graph that is computed: its answers, and the nodes that lead to those in floats."""

    answers: tuple[str, ...]
    nodes: tuple[Node, ...]
    beside: frozenset[str]  # names of the other nodes


def computed_part(model: ir.Model, nodes: list[Node]) -> Part:
    """Return what is to be computed: hidden answers and float outputs as far as torch can.

    Where it can compute none of them, onnxruntime computes for it what it cannot; where there are none, all outputs.
    """
    outputs = [value.name or "" for value in model.graph.outputs]
    floats = [value.name or "" for value in model.graph.outputs if is_float(value)]
    wanted = [*kept_hidden(model), *floats]
    unknown = _not_computable(model, nodes)
    answers = tuple(dict.fromkeys([name for name in wanted if name not in unknown] or wanted))
    if not answers:
        return Part(tuple(outputs), tuple(nodes), frozenset())
    leading = {node.name for node in leading_to(answers, nodes, _read, lambda node: node.outputs)}
    kept = frozenset(node.name for node in nodes if node.name not in leading)
    made = {name for node in nodes if node.name in leading for name in node.outputs}
    numbers = {value.name for value in model.graph.outputs if isinstance(value.type, ir.TensorType)}
    hidden = [name for name in answers if name not in outputs]
    told = [name for name in outputs if name in answers or name in made & numbers]
    return Part((*hidden, *told), tuple(node for node in nodes if node.name in leading), kept)


def is_float(value: ir.Value) -> bool:
    """Tell whether a value is a tensor of floats, as far as the file says."""
    kind = value.type
    return isinstance(kind, ir.TensorType) and kind.dtype.is_floating_point()


def _not_computable(model: ir.Model, nodes: list[Node]) -> set[str]:
    """Return the values that no torch function gives: those of unknown operators and types, and what follows."""
    unknown = {
        name
        for name, value in model.graph.initializers.items()
        if value.dtype is not None and int(value.dtype) not in TORCH_TYPES
    }
    for node in nodes:
        spec = spec_of(node.op_type, node.domain)
        if spec is None or not unknown.isdisjoint(name for name in node.inputs if name):
            unknown.update(node.outputs)
    return unknown


def _read(node: Node) -> list[str]:
    return [name for name in node.inputs if name]
