"""If, Loop and Scan: their bodies are plans of their own, which read the values around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from spectral_engine.errors import ModelInvalid
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.types import as_tensor
from spectral_engine.graph.placement import HOST, bring, device_of
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node, Subgraph

MAX_TRIPS = 100_000
# Takes the body's inputs and the values captured from around; gives the body's outputs.
Body = Callable[[Sequence[Any], Sequence[Any]], list[Any]]


def body_plan(node: Node, attribute: str, mode: Mode) -> tuple[Subgraph, Any]:
    """Return the body under this attribute, and how it runs."""
    graph = node.get(attribute, None)
    if not isinstance(graph, Subgraph):
        raise node.unsupported(f"the body {attribute!r} is missing")
    constants = _body_constants(node, graph)
    sources = [*graph.inputs, *(name for name in node.captured if name not in constants)]
    return graph, mode.make_plan(list(graph.nodes), sources, constants, mode)


def bind_body(node: Node, attribute: str, mode: Mode) -> Body:
    """Return the body under this attribute as a function."""
    graph, plan = body_plan(node, attribute, mode)

    def body(inputs: Sequence[Any], captured: Sequence[Any]) -> list[Any]:
        given = dict(zip(node.captured, captured, strict=True))
        given.update(zip(graph.inputs, inputs, strict=True))
        values = {**given, **plan.known}
        device = next((d for v in given.values() if (d := device_of(v)) != HOST), HOST)
        if device == HOST:
            results = plan.run(values, graph.outputs)
        else:
            hosted = frozenset(
                n for n, v in given.items() if n in plan.slots and device_of(v) == HOST
            )
            results = plan.run(values, graph.outputs, device=device, hosted=hosted)
        return [bring(results[name], device) for name in graph.outputs]

    return body


def _body_constants(node: Node, graph: Subgraph) -> dict[str, Tensor]:
    """Return what a body knows beforehand: its own constants, and those that it reads from the graph around."""
    constants = {name: as_tensor(value) for name, value in graph.constants.items()}
    first = len(node.inputs) - len(
        node.captured
    )  # captured values stand behind the node's own inputs
    for position, name in enumerate(node.captured, start=first):
        if position in node.constants:
            constants[name] = as_tensor(node.constants[position])
    return constants


def if_(node: Node, mode: Mode) -> Function:
    """One of two bodies, by a condition."""
    bodies = {
        True: bind_body(node, "then_branch", mode),
        False: bind_body(node, "else_branch", mode),
    }

    def function(condition: Tensor, *captured: Any) -> Any:
        outputs = bodies[bool(condition)]([], captured)
        return tuple(outputs) if len(node.outputs) > 1 else outputs[0]

    return function


def loop(node: Node, mode: Mode) -> Function:
    """The body again and again, while its condition holds, at most `M` times; what it scans is stacked."""
    body = bind_body(node, "body", mode)
    carried = len(node.inputs) - len(node.captured) - 2
    if carried < 0:
        raise node.unsupported("trip count and condition must be listed")

    def function(limit: Tensor | None, condition: Tensor | None, *values: Any) -> Any:
        trips = MAX_TRIPS + 1 if limit is None else min(int(limit), MAX_TRIPS + 1)
        state, captured = list(values[:carried]), values[carried:]
        going, scanned = condition is None or bool(condition), []
        for trip in range(trips):
            if not going:
                break
            if trip == MAX_TRIPS:
                raise ModelInvalid(f"node {node.name!r} (Loop) runs more than {MAX_TRIPS:,} times")
            flag = torch.tensor(True) if condition is None else condition
            again, *body_outputs = body([torch.tensor(trip), flag, *state], captured)
            going = bool(again)
            state = body_outputs[:carried]
            scanned.append(body_outputs[carried:])
        outputs = [*state, *_stacked(scanned, len(node.outputs) - carried)]
        return tuple(outputs) if len(node.outputs) > 1 else outputs[0]

    return function


def _stacked(rows: list[list[Tensor]], count: int) -> list[Tensor]:
    """Return each scan output as one tensor; of no trips, an empty one."""
    if not rows:
        return [torch.zeros(0)] * max(0, count)
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def scan(node: Node, mode: Mode) -> Function:
    """The body along an axis of its last inputs, with a state."""
    if node.opset < 9:
        raise node.unsupported("Scan of opset 8 is not supported")
    body = bind_body(node, "body", mode)
    given = len(node.inputs) - len(node.captured)
    scanned = node.get("num_scan_inputs", 1)
    carried, produced = given - scanned, len(node.get("body", None).outputs) - (given - scanned)
    nothing = [0] * max(scanned, produced)
    in_axes, in_turned = (
        node.get("scan_input_axes", nothing),
        node.get("scan_input_directions", nothing),
    )
    out_axes = node.get("scan_output_axes", nothing)
    out_turned = node.get("scan_output_directions", nothing)

    def function(*values: Any) -> Any:
        state, captured = list(values[:carried]), values[given:]
        columns = [
            value.flip(axis).unbind(axis) if turned else value.unbind(axis)
            for value, axis, turned in zip(values[carried:given], in_axes, in_turned, strict=False)
        ]
        rows = []
        for entries in zip(*columns, strict=True):
            body_outputs = body([*state, *entries], captured)
            state = body_outputs[:carried]
            rows.append(body_outputs[carried:])
        if not rows:
            raise ModelInvalid(f"node {node.name!r} (Scan) runs over an empty axis")
        outputs = [
            torch.stack(column[::-1] if turned else column, dim=axis)
            for column, axis, turned in zip(
                zip(*rows, strict=True), out_axes, out_turned, strict=False
            )
        ]
        together = [*state, *outputs]
        return tuple(together) if len(node.outputs) > 1 else together[0]

    return function


register(
    {
        "If": OperatorSpec(if_, has_bodies=True),
        "Loop": OperatorSpec(loop, has_bodies=True),
        "Scan": OperatorSpec(scan, has_bodies=True),
    },
)
