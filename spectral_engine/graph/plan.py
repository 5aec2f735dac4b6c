"""The graph as a flat list of bound functions: what runs when a module is called.

Every value has a slot. A step reads slots, calls one function and fills slots.
Steps whose inputs are all known beforehand (shapes, axes, ranges) run once, when the plan is made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from spectral_engine.errors import EngineError, ModelInvalid
from spectral_engine.graph.codegen import MISFITS, Runner, misfit, write_runner
from spectral_engine.graph.fuse import fuse
from spectral_engine.graph.leading import leading_to
from spectral_engine.graph.operator_spec import Mode
from spectral_engine.graph.operators import find_spec
from spectral_engine.graph.operators.precision import in_single
from spectral_engine.graph.placement import HOST, Placement
from spectral_engine.graph.segments import write_segments
from spectral_engine.graph.step import Function, Step, with_known
from spectral_engine.onnx_io.node import Node


@dataclass(frozen=True)
class Plan:
    """Steps in order, and the slot of every value."""

    steps: tuple[Step, ...]
    slots: Mapping[str, int]
    known: Mapping[str, Any]  # values that were worked out when the plan was made
    _runners: dict[Any, Runner] = field(default_factory=dict, compare=False)

    def run(
        self,
        values: Mapping[str, Any],
        wanted: Collection[str],
        scalars: Mapping[str, float] | None = None,
        device: torch.device = HOST,
        hosted: frozenset[str] = frozenset(),
        mode: Mode | None = None,
    ) -> dict[str, Any]:
        """Run what leads to the wanted values, and return these; raises ModelInvalid at a node that cannot run.

        Steps that belong together run as one. `scalars` are values that stay as they are from call to call.
        Values lie on `device`, but for those that were worked out when the plan was made and for the `hosted` ones.
        Where `mode` keeps no activations, the backward pass computes them again.
        """
        again = mode if mode is not None and not mode.keeps_activations else None
        key = (*wanted, scalars is None, device, hosted, again is None)
        runner = self._runners.get(key)
        if runner is None:
            kept = {self.slots[name] for name in wanted}
            numbers = {self.slots[name]: value for name, value in (scalars or {}).items()}
            steps = fuse(_steps_to(kept, self.steps), kept, numbers)
            placement = None if device == HOST else Placement(device, self.known, hosted)
            runner = self._runners[key] = (
                write_runner(steps, self.slots, wanted, placement)
                if again is None
                else write_segments(steps, self.slots, wanted, placement, again)
            )
        return runner(values)


def _steps_to(kept: Collection[int], steps: Sequence[Step]) -> list[Step]:
    """Leave out steps whose values nobody reads."""
    return leading_to(kept, steps, lambda step: step.reads, lambda step: step.writes)


def make_plan(
    nodes: list[Node], sources: Iterable[str], constants: Mapping[str, Tensor], mode: Mode
) -> Plan:
    """Bind every node; raises UnsupportedOperator by name, ModelInvalid for a value that nothing produces."""
    known: dict[str, Any] = dict(constants)
    slots = {name: slot for slot, name in enumerate([*sources, *known])}
    bound: list[tuple[Node, Function]] = []
    for node in nodes:
        node = with_known(node, known)  # noqa: PLW2901  # the same node, better known
        function = _bind(node, mode)
        _check_inputs(node, slots)
        for name in node.outputs:
            slots.setdefault(name, len(slots))
        if _is_constant(node) and all(name is None or name in known for name in node.inputs):
            _work_out(node, function, known)
        else:
            bound.append((node, function))
    return Plan(tuple(_steps(bound, slots)), slots, known)


def _bind(node: Node, mode: Mode) -> Function:
    spec = find_spec(node)
    try:
        function = spec.build(node, mode)
        return in_single(function) if spec.in_single else function
    except EngineError:
        raise
    except MISFITS as error:
        raise misfit(node, error) from error


def _is_constant(node: Node) -> bool:
    """Tell whether a node without unknown inputs gives the same at every call."""
    return bool(node.inputs) or find_spec(node).is_constant


def _check_inputs(node: Node, slots: Mapping[str, int]) -> None:
    for name in node.inputs:
        if name is not None and name not in slots:
            raise ModelInvalid(
                f"node {node.name!r} reads {name!r}, which nothing produces", node=node.ref
            )


def _work_out(node: Node, function: Function, known: dict[str, Any]) -> None:
    try:
        result = function(*[None if name is None else known[name] for name in node.inputs])
    except EngineError:
        raise
    except MISFITS as error:
        raise misfit(node, error) from error
    results = result if len(node.outputs) > 1 else (result,)
    known.update(zip(node.outputs, results, strict=False))


def _steps(bound: list[tuple[Node, Function]], slots: Mapping[str, int]) -> list[Step]:
    return [
        Step(
            node=node,
            function=function,
            reads=tuple(-1 if name is None else slots[name] for name in node.inputs),
            writes=tuple(slots[name] for name in node.outputs),
            arity=find_spec(node).arity,
        )
        for node, function in bound
    ]
