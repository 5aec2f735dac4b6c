"""Sequences, which are lists of tensors, and optionals, which are a value or None."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.control_flow import bind_body
from spectral_engine.graph.operators.types import numbers
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node

Sequence = list[Tensor]


def construct(node: Node, mode: Mode) -> Function:
    """A sequence of the inputs."""
    return lambda *values: list(values)


def empty(node: Node, mode: Mode) -> Function:
    """A sequence of none."""
    return lambda: []


def at(node: Node, mode: Mode) -> Function:
    """One of a sequence, counted from either end."""
    return lambda values, position: values[int(position)]


def insert(node: Node, mode: Mode) -> Function:
    """One more, before a place or at the end."""

    def function(values: Sequence, value: Tensor, position: Tensor | None = None) -> Sequence:
        where = len(values) if position is None else int(position)
        where = where + len(values) if where < 0 else where
        return [*values[:where], value, *values[where:]]

    return function


def erase(node: Node, mode: Mode) -> Function:
    """One less, at a place or at the end."""

    def function(values: Sequence, position: Tensor | None = None) -> Sequence:
        where = (-1 if position is None else int(position)) % len(values)
        return [*values[:where], *values[where + 1 :]]

    return function


def length(node: Node, mode: Mode) -> Function:
    """How many there are."""
    return lambda values: torch.tensor(len(values))


def split_to_sequence(node: Node, mode: Mode) -> Function:
    """Pieces along an axis: of stated sizes, of one size, or single ones, which may lose the axis."""
    axis, keep = node.get("axis", 0), node.get("keepdims", 1) == 1

    def function(x: Tensor, sizes: Tensor | None = None) -> Sequence:
        if sizes is None:
            return list(torch.split(x, 1, axis) if keep else x.unbind(axis))
        stated = numbers(sizes) or []
        return list(torch.split(x, stated[0] if sizes.dim() == 0 else stated, axis))

    return function


def concat_from_sequence(node: Node, mode: Mode) -> Function:
    """Join along an axis, or along a new one."""
    axis, new = node.get("axis", 0), bool(node.get("new_axis", 0))
    return lambda values: torch.stack(values, axis) if new else torch.cat(values, axis)


def sequence_map(node: Node, mode: Mode) -> Function:
    """The body on each of a sequence; further inputs are sequences too, or the same for all."""
    body = bind_body(node, "body", mode)
    given = len(node.inputs) - len(node.captured)

    def function(*values: Any) -> Any:
        inputs, captured = values[:given], values[given:]
        rows = [
            body([value[i] if isinstance(value, list) else value for value in inputs], captured)
            for i in range(len(inputs[0]))
        ]
        columns = [list(c) for c in zip(*rows, strict=True)] or [[] for _ in node.outputs]
        return tuple(columns) if len(node.outputs) > 1 else columns[0]

    return function


def optional(node: Node, mode: Mode) -> Function:
    """A value, or none."""
    return lambda value=None: value


def has_element(node: Node, mode: Mode) -> Function:
    """Tell whether there is a value."""
    return lambda value=None: torch.tensor(value is not None)


def get_element(node: Node, mode: Mode) -> Function:
    """The value, which must be there."""

    def function(value: Any) -> Any:
        if value is None:
            raise ValueError("the optional is empty")
        return value

    return function


register(
    {
        "SequenceConstruct": OperatorSpec(construct),
        "SequenceEmpty": OperatorSpec(empty),
        "SequenceAt": OperatorSpec(at, read_by_python=(1,)),
        "SequenceInsert": OperatorSpec(insert, read_by_python=(2,)),
        "SequenceErase": OperatorSpec(erase, read_by_python=(1,)),
        "SequenceLength": OperatorSpec(length, gives_numbers=True),
        "SplitToSequence": OperatorSpec(split_to_sequence, read_by_python=(1,)),
        "ConcatFromSequence": OperatorSpec(concat_from_sequence),
        "SequenceMap": OperatorSpec(sequence_map, has_bodies=True),
        "Optional": OperatorSpec(optional),
        "OptionalHasElement": OperatorSpec(has_element, gives_numbers=True),
        "OptionalGetElement": OperatorSpec(get_element),
    },
)
