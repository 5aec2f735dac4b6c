"""Where values lie when a model runs on an accelerator.

Inputs and weights lie on the device. Numbers that state shapes, bounds and counts stay on the host, where Python reads
them without waiting for the device; so do constants, and what is made of such values alone. Where one of them meets a
value on the device in arithmetic, it is brought over: a constant once, when a runner is written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from spectral_engine.graph.plan import Step

HOST = torch.device("cpu")
Fused = TypeVar("Fused", bound=Callable[..., Any])
# Positions of inputs that a function reads as Python numbers; for all other inputs values must lie together.
READ_BY_PYTHON: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Squeeze", "Unsqueeze", "Split", "TopK"), (1,)),
    **dict.fromkeys(
        ("OneHot", "Trilu", "CumSum", "CumProd", "AffineGrid", "CenterCropPad", "Upsample"), (1,)
    ),
    **dict.fromkeys(("SplitToSequence", "SequenceAt", "SequenceErase"), (1,)),
    **dict.fromkeys(
        ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"), (1,)
    ),
    **dict.fromkeys(("ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ReduceLogSum"), (1,)),
    **dict.fromkeys(("Dropout", "DFT", "Col2Im", "RoiAlign"), (1, 2)),
    **dict.fromkeys(("SequenceInsert", "MaxUnpool"), (2,)),
    **dict.fromkeys(("Pad", "Resize"), (1, 2, 3)),
    **dict.fromkeys(("ConstantOfShape", "HannWindow", "HammingWindow", "BlackmanWindow"), (0,)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (4,)),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Range": (0, 1, 2),
    "NonMaxSuppression": (2, 3, 4),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
}
# Their answers are numbers on the host, wherever the input lies.
COUNTS = {"Shape", "Size", "SequenceLength", "OptionalHasElement"}
# Their bodies are plans of their own, which bring over what they need; what they give lies on the device.
WITH_BODIES = {"If", "Loop", "Scan", "SequenceMap"}


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
    on_host, found = set(hosted), []
    for step in steps:
        read = _read_by_python(step)
        together = [at for at, slot in enumerate(step.reads) if slot >= 0 and at not in read]
        lying = [at for at in together if step.reads[at] in on_host]
        mixed = len(lying) < len(together)
        found.append(tuple(lying) if mixed and step.node.op_type not in WITH_BODIES else ())
        if not mixed or step.node.op_type in COUNTS:
            on_host.update(step.writes)
    return found


def _read_by_python(step: Step) -> tuple[int, ...]:
    own = getattr(step.function, "read_by_python", None)
    if own is not None:
        return tuple(own)
    return () if step.node.domain else READ_BY_PYTHON.get(step.node.op_type, ())


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
