"""All that the product knows of one operator, and where the specs of the operators are registered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.fusion import Fusion
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


class BodyPlan(Protocol):
    """What control flow asks of the plan of a body."""

    @property
    def slots(self) -> Mapping[str, int]:
        """The slot of every value."""

    @property
    def known(self) -> Mapping[str, Any]:
        """The values that were worked out beforehand."""

    def run(
        self,
        values: Mapping[str, Any],
        wanted: Collection[str],
        scalars: Mapping[str, float] | None = None,
        device: torch.device = ...,
        hosted: frozenset[str] = ...,
    ) -> dict[str, Any]:
        """Run all steps on these values and return the wanted ones."""


@dataclass
class Mode:
    """What differs between calls; one object shared by all functions of a module.

    `make_plan` turns the nodes of a body into a plan: given their sources, constants and this mode. Into `taken`, where
    it is there, goes every body of an If that is taken: the If's name, and which of its bodies. `add_up`, where rows of
    one batch lie on several devices, puts the sum over all of them in the place of a tensor.
    """

    make_plan: Callable[[list[Node], Iterable[str], Mapping[str, Tensor], Mode], BodyPlan]
    training: bool = False
    batch: int = 0  # the first input's first size
    keeps_activations: bool = True  # for the backward pass; else most are computed again in it
    recomputing: bool = False  # while that is done
    taken: set[tuple[str, str]] | None = None
    add_up: Callable[[Tensor], None] | None = None


@dataclass(frozen=True)
class NormForm:
    """How a normalisation is written out in plain operators, so that silenced nodes can be kept out of it.

    y = scale · c / √(mean c² + ε) + shift, where c is the input, less its mean where `centred`. Numbers are positions
    of inputs; those of `summed` are added to the first input before. `epsilon` is what the attribute defaults to.
    """

    centred: bool
    scale: int = 1
    shift: int | None = 2
    summed: tuple[int, ...] = ()
    epsilon: float = 1e-5


@dataclass(frozen=True)
class OperatorSpec:
    """What is said of one operator. Without a coupling rule, whatever nodes it touches stay.

    How it computes and couples:
    `build` makes the torch function of a node from its attributes and opset; `coupling` records which nodes it makes
    one, which of its numbers state widths, and where it computes across nodes (how those that go are masked).

    What its inputs hold, by position:
    `weights` are trained where initializers stand there, one of a single entry only with `single_weights`; what only
    passes a weight on counts as a reader of weights too.
    `initial` says what a scale, a shift or a running statistic starts from when weights are drawn anew.
    `factors` says whether a node reads the weight at a position as [out, in] (True) or [in, out], and takes it as two
    factors; None where the weight must be whole.

    How graphs with it are rewritten:
    `norm` writes a normalisation out, to mask it. `fusion` is a pattern that ends at it; `arity` is the number of
    inputs that a node must have to be part of any. `stretch` tells (axis, start, end) where a node takes one stretch
    of its input along one axis, so that several of them can be cut at once. `free_batch` returns the node that takes
    any batch size in the place of a frozen one.

    How it runs:
    `read_by_python` are inputs that it reads as Python numbers, which stay on the host; with `gives_numbers` its
    answers lie there too. `has_bodies`: bodies are plans of their own, which bring to the device what they need.
    `in_single`: torch computes it in single precision alone, or with all inputs in one precision.
    `is_constant`: of no inputs it gives the same at every call. `reads_shape_alone`: its answers tell nothing of the
    entries of what it reads.

    What it means:
    `squashes` says what its input holds the logits of where it ends a model.
    """

    build: Callable[[Node, Mode], Function]
    coupling: Callable[[Node, CouplingRecorder], None] | None = None
    weights: tuple[int, ...] = ()
    single_weights: bool = False
    initial: Mapping[int, float] = field(default_factory=dict)
    factors: Callable[[Node, int], bool | None] = lambda node, position: None  # noqa: ARG005  # none are taken
    norm: NormForm | None = None
    fusion: Fusion | None = None
    arity: int | None = None
    stretch: Callable[[Node], tuple[int, int, int] | None] = lambda node: None  # noqa: ARG005  # no node takes one
    free_batch: Callable[[Node, int], Node] = lambda node, frozen: node  # noqa: ARG005  # it bakes no size in
    read_by_python: tuple[int, ...] = ()
    gives_numbers: bool = False
    has_bodies: bool = False
    in_single: bool = False
    is_constant: bool = False
    reads_shape_alone: bool = False
    squashes: Literal["classes", "yes or no"] | None = None


_specs: dict[tuple[str, str], OperatorSpec] = {}
_of_others: list[OperatorSpec] = []


def register(specs: Mapping[str, OperatorSpec], *, domain: str = "") -> None:
    """Make operators known, by op type; raises ValueError for one that is known already."""
    for op_type, spec in specs.items():
        if (domain, op_type) in _specs:
            raise ValueError(f"operator {domain}::{op_type} is registered already")
        _specs[domain, op_type] = spec


def register_for_others(spec: OperatorSpec) -> None:
    """Say what goes for every operator of which nothing else is said."""
    _of_others.append(spec)


def find_spec(node: Node) -> OperatorSpec:
    """Return what is said of a node's operator, or of all that have no entry of their own."""
    return _specs.get((node.domain, node.op_type)) or _of_others[-1]


def is_outside(node: Node) -> bool:
    """Say whether nothing is said of a node's operator: no gradient passes it, and what it touches stays."""
    return (node.domain, node.op_type) not in _specs


def spec_of(op_type: str, domain: str = "") -> OperatorSpec | None:
    """Return what is said of an operator, or None where it is not known."""
    return _specs.get((domain, op_type))


def supported_operators() -> list[tuple[str, str]]:
    """Return every (domain, op type) that can be executed."""
    return sorted(_specs)
