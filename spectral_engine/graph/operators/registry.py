"""Where operators are registered: a torch function and a coupling rule for each op type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectral_engine.graph.coupling_recorder import CouplingRecorder
    from spectral_engine.onnx_io.node import Node

# Takes one tensor (or None) per ONNX input; gives one tensor, or a tuple where there are several outputs.
Function = Callable[..., Any]


@dataclass
class Mode:
    """What differs between calls; one object shared by all functions of a module."""

    training: bool = False
    batch: int = 0  # the first input's first size


Build = Callable[["Node", Mode], Function]
Rule = Callable[["Node", "CouplingRecorder"], None]

_builds: dict[tuple[str, str], Build] = {}
_rules: dict[tuple[str, str], Rule] = {}


def operator(*op_types: str, domain: str = "") -> Callable[[Build], Build]:
    """Register how to build the torch function of a node from its attributes and opset."""

    def register(build: Build) -> Build:
        for op_type in op_types:
            _builds[domain, op_type] = build
        return build

    return register


def coupling(*op_types: str, domain: str = "") -> Callable[[Rule], Rule]:
    """Register which node ids an operator makes one."""

    def register(rule: Rule) -> Rule:
        for op_type in op_types:
            _rules[domain, op_type] = rule
        return rule

    return register


def find_build(node: Node) -> Build:
    """Return how to build this node's function; raises UnsupportedOperator by name."""
    build = _builds.get((node.domain, node.op_type))
    if build is None:
        raise node.unsupported("this operator is not supported")
    return build


def find_rule(node: Node) -> Rule | None:
    """Return the node's coupling rule, or None where its coupling is unknown."""
    return _rules.get((node.domain, node.op_type))


def supported_operators() -> list[tuple[str, str]]:
    """Return every (domain, op type) that can be executed."""
    return sorted(_builds)
