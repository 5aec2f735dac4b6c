"""The nodes of a graph as plain Python values, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from spectral_engine.errors import ModelInvalid
from spectral_engine.onnx_io.node import Node, Subgraph

DEFAULT_DOMAINS = {"", "ai.onnx"}
NAME = "name here"  # of a node's meta


def named_nodes(model: ir.Model) -> list[tuple[str, ir.Node]]:
    """Return the nodes, sorted so that each runs after what it reads, each with a name of its own."""
    return _named(_sorted(model))


def keep_names(model: ir.Model) -> None:
    """Note at every node the name that it has here: nodes without one, or that share one, get one of their own.

    Stand-in names count positions: noted once, they stay with their nodes when others are put between them. The file
    keeps the names that it came with.
    """
    for name, node in named_nodes(model):
        node.meta[NAME] = name


def _named(nodes: Iterable[ir.Node]) -> list[tuple[str, ir.Node]]:
    every = list(nodes)
    taken = {node.meta[NAME] for node in every if NAME in node.meta}
    named = []
    for position, node in enumerate(every):
        name = node.meta.get(NAME)
        if name is None:
            name = node.name or f"{node.op_type}_{position}"
            while name in taken:
                name = f"{name}_{position}"
            taken.add(name)
        named.append((name, node))
    return named


def graph_nodes(model: ir.Model) -> list[Node]:
    """Return every node decoded."""
    constants = integer_constants(model)
    return [_decode(name, node, model, constants) for name, node in named_nodes(model)]


def integer_constants(model: ir.Model) -> dict[str, NDArray[Any]]:
    """Return initializers that hold no floats, by name: shapes, axes, indices, flags."""
    return {
        name: value.const_value.numpy()
        for name, value in model.graph.initializers.items()
        if value.const_value is not None and not value.const_value.dtype.is_floating_point()
    }


def _sorted(model: ir.Model) -> list[ir.Node]:
    try:
        model.graph.sort()
    except ValueError as error:
        raise ModelInvalid("the graph has a cycle") from error
    return list(model.graph)


def _decode(name: str, node: ir.Node, model: ir.Model, constants: dict[str, NDArray[Any]]) -> Node:
    inputs = tuple(value.name if value is not None else None for value in node.inputs)
    domain = "" if node.domain in DEFAULT_DOMAINS else node.domain
    version = node.version or model.opset_imports.get(node.domain) or 1
    attributes = {key: _attribute(key, value, model) for key, value in node.attributes.items()}
    captured = _captured(attributes)
    return Node(
        name=name,
        op_type=node.op_type,
        domain=domain,
        opset=version,
        inputs=(*inputs, *captured),
        outputs=_outputs(node),
        attributes=attributes,
        captured=captured,
        constants={
            position: constants[value]
            for position, value in enumerate(inputs)
            if value is not None and value in constants
        },
    )


def _outputs(node: ir.Node) -> tuple[str, ...]:
    """Return the names of the outputs, without those at the end that are left out."""
    names = [value.name or "" for value in node.outputs]
    while len(names) > 1 and not names[-1]:
        names.pop()
    return tuple(names)


def _attribute(key: str, attribute: ir.Attr, model: ir.Model) -> Any:
    if attribute.is_ref():
        raise ModelInvalid(
            f"attribute {key!r} refers to one of a function, outside of any function"
        )
    value = attribute.value
    if attribute.type == ir.AttributeType.TENSOR:
        return np.asarray(value.numpy())
    if attribute.type == ir.AttributeType.GRAPH:
        return _subgraph(value, model)
    return list(value) if isinstance(value, tuple) else value


def _subgraph(graph: ir.Graph, model: ir.Model) -> Subgraph:
    constants = {
        name: value.const_value.numpy()
        for name, value in graph.initializers.items()
        if value.const_value is not None
    }
    return Subgraph(
        inputs=tuple(value.name or "" for value in graph.inputs),
        outputs=tuple(value.name or "" for value in graph.outputs),
        nodes=tuple(_decode(name, node, model, constants) for name, node in _named(graph)),
        constants=constants,
    )


def _captured(attributes: dict[str, Any]) -> tuple[str, ...]:
    bodies = [value for value in attributes.values() if isinstance(value, Subgraph)]
    return tuple(dict.fromkeys(name for body in bodies for name in body.captured()))
