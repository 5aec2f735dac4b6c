"""One step of a plan, and what is known of its node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

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


def with_known(node: Node, known: Mapping[str, Any]) -> Node:
    """Give a node what is known beforehand of its inputs."""
    constants = {
        position: value.numpy()
        for position, name in enumerate(node.inputs)
        if name is not None and isinstance(value := known.get(name), Tensor)
    }
    return replace(node, constants=constants)
