"""Where values lie when a model runs on an accelerator.

Inputs and weights lie on the device. Numbers that state shapes, bounds and counts stay on the host, where Python reads
them without waiting for the device; so do constants, and what is made of such values alone. Where one of them meets a
value on the device in arithmetic, it is brought over: a constant once, when a runner is written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from spectral_engine.graph.operator_spec import OperatorSpec, find_spec
from spectral_engine.graph.step import Step

HOST = torch.device("cpu")
Fused = TypeVar("Fused", bound=Callable[..., Any])


@dataclass(frozen=True)
class Placement:
    """A run on a device: of its values the `known` ones and the `hosted` ones lie on the host."""

    device: torch.device
    known: Mapping[str, Any]
    hosted: frozenset[str]


def stays_on_host(*positions: int) -> Callable[[Fused], Fused]:
    """Mark a function of fused steps: these of its inputs it reads as Python numbers."""

    def mark(function: Fused) -> Fused:
        function.read_by_python = positions  # type: ignore[attr-defined]  # a function holds what it is given
        return function

    return mark


def to_bring(steps: Sequence[Step], hosted: Collection[int]) -> list[tuple[int, ...]]:
    """Return, for each step, the positions of inputs to bring to the device; `hosted` are slots on the host."""
    on_host, brought = set(hosted), []
    for step in steps:
        spec = find_spec(step.node)
        read = _read_by_python(step, spec)
        together = [at for at, slot in enumerate(step.reads) if slot >= 0 and at not in read]
        lying = [at for at in together if step.reads[at] in on_host]
        mixed = len(lying) < len(together)
        brought.append(tuple(lying) if mixed and not spec.has_bodies else ())
        if not mixed or spec.gives_numbers:
            on_host.update(step.writes)
    return brought


def _read_by_python(step: Step, spec: OperatorSpec) -> tuple[int, ...]:
    """Return positions of inputs that stay on the host: a fused step's function says them, else the operator's spec."""
    fused = getattr(step.function, "read_by_python", None)
    return spec.read_by_python if fused is None else tuple(fused)


def bring(value: Any, device: torch.device) -> Any:
    """Return a value, or a sequence of values, on the device; what is no tensor stays as it is."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list | tuple):
        return type(value)(bring(entry, device) for entry in value)
    return value


def device_of(value: Any) -> torch.device:
    """Return where a value lies; a sequence lies where its first entry does, and what is no tensor on the host."""
    while isinstance(value, list) and value:
        value = value[0]
    return value.device if isinstance(value, Tensor) else HOST
