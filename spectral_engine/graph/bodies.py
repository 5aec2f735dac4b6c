"""Bodies of If as graphs of their own: traced each at lengths at which it runs, and coupled like any other graph.

1. Both bodies are traced, whichever the condition of the traced run takes: what a body reads from around it is worked
   out, and the body run on that, at the first lengths at which it runs.
2. The nodes of a traced body go through the same coupling rules. What it reads from around has another name in it,
   with the shape of its own run and without ids: nodes do not pass a body's border, and what touches it stays.
3. A body that does not run, or that no row of the data takes, keeps all that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.operator_spec import Mode
from spectral_engine.graph.operators.control_flow import body_plan
from spectral_engine.onnx_io.node import Node, Subgraph

MOST_NUMBERS = 64  # in a vector that states shapes, axes or bounds
BRANCHES = ("then_branch", "else_branch")
BodyKey = tuple[str, str]  # the name of an If, and which of its bodies


@dataclass(frozen=True)
class Body:
    """A body that ran: its nodes, and the run's shapes and integers; what it reads from around has names of its own."""

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    around: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    numbers: Mapping[str, NDArray[Any]]  # small vectors of integers
    known: Mapping[str, NDArray[Any]]  # what no input changes


def is_if(node: Node) -> bool:
    """Say whether a node takes one of two bodies."""
    return node.op_type == "If" and not node.domain


def with_bodies(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield nodes and, before each If, those of its bodies."""
    for node in nodes:
        if is_if(node):
            for graph in graphs_of(node).values():
                yield from with_bodies(graph.nodes)
        yield node


def graphs_of(node: Node) -> dict[BodyKey, Subgraph]:
    """Return the bodies of an If."""
    attributes = {(node.name, branch): node.get(branch, None) for branch in BRANCHES}
    return {key: graph for key, graph in attributes.items() if isinstance(graph, Subgraph)}


def run_body(
    node: Node,
    branch: str,
    mode: Mode,
    initializers: Collection[str],
    values_of: Callable[[list[str]], Mapping[str, Any]],
) -> Body:
    """Run one body on what it reads from around; raises where it does not run on that."""
    graph, plan = body_plan(node, branch, mode)
    around = [name for name in node.captured if name not in plan.known]
    computed = plan.run({**values_of(around), **plan.known}, [*plan.slots])
    values = {name: value for name, value in computed.items() if isinstance(value, Tensor)}
    alias = {name: f"{name}@{node.name}/{branch}" for name in around if name not in initializers}
    return Body(
        nodes=tuple(_renamed(inner, node.name, alias) for inner in graph.nodes),
        outputs=graph.outputs,
        around=tuple(alias.values()),
        shapes={alias.get(name, name): tuple(value.shape) for name, value in values.items()},
        numbers={n: v.numpy() for n, v in values.items() if n not in alias and _is_small(v)},
        known={
            n: v.numpy()
            for n, v in plan.known.items()
            if isinstance(v, Tensor) and not v.is_floating_point()
        },
    )


def _is_small(value: Tensor) -> bool:
    integers = value.dtype in {torch.int32, torch.int64}
    return integers and value.dim() <= 1 and value.numel() <= MOST_NUMBERS


def _renamed(inner: Node, name: str, alias: Mapping[str, str]) -> Node:
    inputs = tuple(alias.get(one, one) if one is not None else None for one in inner.inputs)
    return replace(inner, name=f"{name}/{inner.name}", inputs=inputs)


def book_border(
    node: Node, book: CouplingRecorder, bodies: Mapping[BodyKey, Body], untaken: Collection[BodyKey]
) -> None:
    """Pin what crosses the border of the bodies of an If, and all that is read by a body that is not looked into."""
    for name in node.inputs:
        if name is not None and name not in book.initializers:
            book.pin_value(name, "is read by the body of an If")
    for key, graph in graphs_of(node).items():
        reason = "leaves the body of an If"
        names = graph.outputs
        if key in untaken or key not in bodies:
            names = graph.captured()
            reason = "is read by a body of an If that no lengths run which were tried"
            if key in untaken:
                reason = "no row takes its body of an If"
        for name in names:
            if name in book.initializers:
                book.freeze(name, reason)
            elif name in book.shapes:
                book.pin_value(name, reason)
