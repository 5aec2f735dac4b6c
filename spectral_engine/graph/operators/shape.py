"""Operators that give the same values other names, types or axes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from onnx import TensorProto
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import (
    follow,
    follow_origins,
    ids_or_fresh,
    origins_of,
    state_width_at,
)
from spectral_engine.graph.operators.regrouping import regroup
from spectral_engine.graph.operators.types import HALVES, torch_type
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


def identity(node: Node, mode: Mode) -> Function:
    """The value itself."""
    return lambda x: x


def dropout(node: Node, mode: Mode) -> Function:
    """Of an inference graph it does nothing, and its mask is full."""
    masked = len(node.outputs) > 1

    def function(x: Tensor, ratio: Tensor | None = None, training: Tensor | None = None) -> Any:
        drops = ratio is None or float(ratio) != 0.0
        if drops and training is not None and bool(training):
            raise node.unsupported("training_mode is not supported: export the model for inference")
        return (x, torch.ones_like(x, dtype=torch.bool)) if masked else x

    return function


def cast(node: Node, mode: Mode) -> Function:
    """To another type; to half precision rounds, and goes on in single."""
    to = node.get("to", TensorProto.FLOAT)
    dtype, half = torch_type(node, to), HALVES.get(to)
    if half is not None:
        return lambda x: x.to(half).to(dtype)
    return lambda x: x.to(dtype)


def cast_like(node: Node, mode: Mode) -> Function:
    """To the type of the second input."""
    return lambda x, like: x.to(like.dtype)


def pass_coupling(node: Node, book: CouplingRecorder) -> None:
    """The same nodes under another name."""
    follow(node, book)


def reshape(node: Node, mode: Mode) -> Function:
    """0 copies the input's size and −1 is worked out, unless `allowzero` takes 0 as it stands.

    `free_shape` holds for every batch other than the one that the shape was frozen to.
    """
    stated, free = node.constant_ints(1, "shape"), node.get("free_shape", None)
    frozen = node.get("frozen", None)
    zero_copies = not node.get("allowzero", 0)

    def function(x: Tensor, shape: Tensor | None = None) -> Tensor:
        sizes = (stated or []) if shape is None or stated is not None else _ints(shape)
        if free is not None and mode.batch != frozen:
            sizes = free
        if zero_copies and 0 in sizes:
            sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
        return x.reshape(sizes)

    return function


def _free_batch(node: Node, frozen: int) -> Node:
    """Let a shape that begins with a frozen batch size take any: its first entry becomes −1, or 0, 'as it comes'."""
    shape = node.constants.get(1)
    if shape is None or shape.ndim != 1 or len(shape) < 2 or int(shape[0]) != frozen:
        return node
    free = shape.copy()
    free[0] = 0 if (shape == -1).any() else -1
    return replace(
        node, attributes={**node.attributes, "free_shape": free.tolist(), "frozen": frozen}
    )


def reshape_coupling(node: Node, book: CouplingRecorder) -> None:
    """Axes are regrouped; the numbers that state their lengths follow."""
    follow_origins(node, book)
    regroup(node, book)
    target = node.outputs[0]
    sizes = node.constants.get(1)
    for axis, origin in enumerate(origins_of(node, 1, book)):
        ids = book.axis(target, axis)
        if ids is not None and not (sizes is not None and int(sizes[axis]) <= 0):
            state_width_at(origin, ids, book)


def _ints(numbers: Tensor) -> list[int]:
    return [int(number) for number in numbers]


def flatten(node: Node, mode: Mode) -> Function:
    """Into two axes, split before `axis`."""
    axis = node.get("axis", 1)

    def function(x: Tensor) -> Tensor:
        if axis == 1:
            return x.flatten(1) if x.dim() > 1 else x[:, None]
        start = axis % x.dim() if axis < 0 else axis
        return x.reshape(math.prod(x.shape[:start]), -1)

    return function


def flatten_coupling(node: Node, book: CouplingRecorder) -> None:
    """Each node's positions become entries of their own, which go together."""
    regroup(node, book)


def transpose(node: Node, mode: Mode) -> Function:
    """Reverse the axes, or put them in the order of `perm`."""
    order = node.get("perm", None)
    return lambda x: x.permute(order if order is not None else list(reversed(range(x.dim()))))


def transpose_coupling(node: Node, book: CouplingRecorder) -> None:
    """The axes' ids, in the new order; a turned initializer is still that initializer."""
    source, target = node.input(0), node.outputs[0]
    ids = ids_or_fresh(source, book)
    order = node.get("perm", None) or list(reversed(range(len(ids))))
    book.write(target, tuple(ids[axis] for axis in order))
    constant = book.constant(source)
    if constant is not None:
        book.aliases[target] = (constant[0], tuple(constant[1][axis] for axis in order))


def squeeze(node: Node, mode: Mode) -> Function:
    """Drop axes of length 1: these, or all."""
    stated = node.constant_ints(1, "axes")

    def function(x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = stated if stated is not None or axes is None else axes.tolist()
        return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))

    return function


def unsqueeze(node: Node, mode: Mode) -> Function:
    """Put in axes of length 1, counted in the result."""
    stated = node.constant_ints(1, "axes")

    def function(x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = stated if stated is not None or axes is None else axes.tolist()
        rank = x.dim() + len(chosen or [])
        for axis in sorted(axis % rank for axis in chosen or []):
            x = x.unsqueeze(axis)
        return x

    return function


def unit_axes_coupling(node: Node, book: CouplingRecorder) -> None:
    """Axes of length 1 come and go."""
    follow_origins(node, book)
    regroup(node, book)


register(
    {
        "Identity": OperatorSpec(identity, pass_coupling, weights=(0,)),
        "Dropout": OperatorSpec(dropout, pass_coupling, read_by_python=(1, 2)),
        "Cast": OperatorSpec(cast, pass_coupling, weights=(0,)),
        "CastLike": OperatorSpec(cast_like, pass_coupling),
        "Reshape": OperatorSpec(
            reshape, reshape_coupling, weights=(0,), free_batch=_free_batch, read_by_python=(1,)
        ),
        "Flatten": OperatorSpec(flatten, flatten_coupling, weights=(0,)),
        "Transpose": OperatorSpec(transpose, transpose_coupling, weights=(0,), single_weights=True),
        "Squeeze": OperatorSpec(squeeze, unit_axes_coupling, weights=(0,), read_by_python=(1,)),
        "Unsqueeze": OperatorSpec(unsqueeze, unit_axes_coupling, weights=(0,), read_by_python=(1,)),
    },
)
