"""One step of a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spectral_engine.onnx_io.node import Node

# Takes one tensor (or None) per ONNX input; gives one tensor, or a tuple where there are several outputs.
Function = Callable[..., Any]


@dataclass(frozen=True)
class Step:
    """One call: slots in, slots out."""

    node: Node
    function: Function
    reads: tuple[int, ...]  # -1 for an input that is left out
    writes: tuple[int, ...]
    arity: int | None = None  # inputs that a sound node has; None where no fusion takes it in
