"""Steps as one straight Python function: a line per node, and no walk when a module is called."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import torch

from spectral_engine.errors import EngineError, ModelInvalid
from spectral_engine.graph.operator_spec import find_spec
from spectral_engine.graph.placement import Placement, bring, to_bring
from spectral_engine.graph.step import Step
from spectral_engine.onnx_io.node import Node

Runner = Callable[[Mapping[str, Any]], dict[str, Any]]
FILE = "<onnx graph>"
# What torch, numpy and our own functions raise where a model does not fit its values.
MISFITS = (
    RuntimeError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
)


def write_runner(
    steps: Sequence[Step],
    slots: Mapping[str, int],
    wanted: Collection[str],
    placement: Placement | None = None,
) -> Runner:
    """Return a function from values by name to the wanted values by name; without a placement all lie together.

    Whatever a step raises becomes ModelInvalid, naming the node.
    """
    return Writer(steps, slots, placement).runner(0, len(steps), wanted)


class Writer:
    """Writes functions for stretches of the same steps."""

    def __init__(
        self, steps: Sequence[Step], slots: Mapping[str, int], placement: Placement | None = None
    ) -> None:
        self.steps, self.slots = steps, slots
        self.calls, self.scope = _calls(steps, slots, placement)
        self.scope.update((f"f{position}", step.function) for position, step in enumerate(steps))

    def runner(self, start: int, end: int, wanted: Collection[str]) -> Runner:
        """Return the function of the steps from `start` up to `end`: from values by name to the wanted ones."""
        lines, step_at = _write(self.steps[start:end], self.calls[start:end], self.slots, wanted)
        # Made of slot numbers and quoted names.
        exec(compile("\n".join(lines), FILE, "exec"), self.scope)
        return _named(self.scope["run"], step_at)


def _named(run: Runner, step_at: Mapping[int, Step]) -> Runner:
    """Return the function with its errors named by their nodes."""

    def runner(values: Mapping[str, Any]) -> dict[str, Any]:
        try:
            computed: dict[str, Any] = run(values)
        except (EngineError, torch.OutOfMemoryError):
            raise
        except MISFITS as error:
            step = step_at.get(_line_of(error.__traceback__))
            if step is None:
                raise
            raise misfit(step.node, error) from error
        return computed

    return runner


def misfit(node: Node, error: Exception) -> ModelInvalid:
    """Return the error that names the node which could not be computed."""
    reason = " ".join(str(error).split())[:300]
    return ModelInvalid(f"node {node.name!r} ({node.op_type}): {reason}", node=node.ref)


def _calls(
    steps: Sequence[Step], slots: Mapping[str, int], placement: Placement | None
) -> tuple[list[str], dict[str, Any]]:
    """Return each step's call as Python, and what the calls read besides values."""
    if placement is None:
        return [_call(position, map(_read, step.reads)) for position, step in enumerate(steps)], {}
    device, known = (
        placement.device,
        {slots[name]: value for name, value in placement.known.items()},
    )
    hosted = {*known, *(slots[name] for name in placement.hosted)}
    scope: dict[str, Any] = {"bring": functools.partial(bring, device=device)}
    calls = []
    for position, (step, brought) in enumerate(zip(steps, to_bring(steps, hosted), strict=True)):
        texts = [_read(slot) for slot in step.reads]
        for at in brought:
            slot = step.reads[at]
            if slot in known:
                scope.setdefault(f"c{slot}", bring(known[slot], device))
            texts[at] = f"c{slot}" if slot in known else f"bring(v{slot})"
        call = _call(position, texts)
        calls.append(f"bring({call})" if find_spec(step.node).has_bodies else call)
    return calls, scope


def _call(position: int, arguments: Iterable[str]) -> str:
    return f"f{position}({', '.join(arguments)})"


def _write(
    steps: Sequence[Step], calls: Sequence[str], slots: Mapping[str, int], wanted: Collection[str]
) -> tuple[list[str], dict[int, Step]]:
    kept = {slots[name] for name in wanted}
    produced = {slot for step in steps for slot in step.writes}
    needed = {slot for step in steps for slot in step.reads} | kept
    done = _read_last(steps)
    lines = ["def run(values):"]
    lines += [
        f"    v{slot} = values[{name!r}]"
        for name, slot in slots.items()
        if slot in needed and slot not in produced
    ]
    step_at: dict[int, Step] = {}
    for position, step in enumerate(steps):
        lines.append(f"    {_targets(step)} = {calls[position]}")
        step_at[len(lines)] = step
        free = [f"v{slot}" for slot in done[position] if slot in produced and slot not in kept]
        if free:
            lines.append(f"    del {', '.join(free)}")
    entries = (f"{name!r}: v{slots[name]}" for name in dict.fromkeys(wanted))
    lines.append(f"    return {{{', '.join(entries)}}}")
    return lines, step_at


def _read_last(steps: Sequence[Step]) -> list[list[int]]:
    """Return, for each step, the slots that no later one reads."""
    last = {slot: position for position, step in enumerate(steps) for slot in step.reads}
    done: list[list[int]] = [[] for _ in steps]
    for slot, position in last.items():
        done[position].append(slot)
    return done


def _targets(step: Step) -> str:
    names = [f"v{slot}" for slot in step.writes]
    return names[0] if len(names) == 1 else ", ".join([*names, "*_"])


def _read(slot: int) -> str:
    return "None" if slot < 0 else f"v{slot}"


def _line_of(traceback: TracebackType | None) -> int:
    """Return the line of the outermost frame that is ours, 0 where there is none; bodies lie further in."""
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILE:
            return traceback.tb_lineno
        traceback = traceback.tb_next
    return 0
