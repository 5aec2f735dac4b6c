"""Constants, and numbers that are read from shapes while a model runs."""

from __future__ import annotations

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder, Follows
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import (
    origins_of,
    state_width_at,
)
from spectral_engine.graph.operators.types import HALVES, check_size, numbers, torch_type
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


def shape(node: Node, mode: Mode) -> Function:
    """The sizes as integers, or a part of them."""
    start, end = node.get("start", 0), node.get("end", None)
    return lambda x: torch.tensor(list(x.shape)[start:end], dtype=torch.int64)


def size(node: Node, mode: Mode) -> Function:
    """The number of elements."""
    return lambda x: torch.tensor(x.numel(), dtype=torch.int64)


def range_(node: Node, mode: Mode) -> Function:
    """Numbers from start to limit by delta; they stay on the host, where these are read."""

    def function(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
        first, last, step = start.item(), limit.item(), delta.item()
        check_size(node, [max(0, int((last - first) / step))])
        return torch.arange(first, last, step, dtype=start.dtype)

    return function


def constant_of_shape(node: Node, mode: Mode) -> Function:
    """A tensor of one value."""
    value = np.asarray(node.get("value", np.zeros(1, dtype=np.float32)))
    if value.dtype.kind not in "biuf" or value.dtype == np.float16:
        value = value.astype(np.float32)
    fill = torch.from_numpy(value.copy()).flatten()[0]

    def function(shape: Tensor) -> Tensor:
        sizes = numbers(shape) or []
        check_size(node, sizes)
        return torch.full(sizes, fill.item(), dtype=fill.dtype)

    return function


def bit_cast(node: Node, mode: Mode) -> Function:
    """The same bits under another type; those of half precision are gone once it is computed in single."""
    to = node.get("to", TensorProto.FLOAT)
    dtype, half = torch_type(node, to), HALVES.get(to)

    def function(x: Tensor) -> Tensor:
        target = half or dtype
        if x.element_size() != target.itemsize:
            raise node.unsupported("bits of half precision are not supported")
        return x.view(target).to(dtype)

    return function


def constant(node: Node, mode: Mode) -> Function:
    """A value of the file."""
    kinds = ("value", "value_float", "value_int", "value_floats", "value_ints")
    stated = [node.attributes[kind] for kind in kinds if kind in node.attributes]
    if not stated:
        raise node.unsupported("only tensors and numbers are supported")
    array = np.asarray(stated[0])
    if not isinstance(stated[0], np.ndarray) and array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf" or array.dtype == np.float16:
        array = array.astype(np.float32)
    tensor = torch.from_numpy(array.copy())
    return lambda: tensor


def shape_coupling(node: Node, book: CouplingRecorder) -> None:
    """Sizes are read when the model runs, and so follow by themselves."""
    source = node.input(0)
    axes = range(len(book.shapes[source]))[node.get("start", 0) : node.get("end", None)]
    book.origins[node.outputs[0]] = tuple(Follows(source, axis) for axis in axes)


def number_coupling(node: Node, book: CouplingRecorder) -> None:
    """Numbers, not nodes."""


def constant_of_shape_coupling(node: Node, book: CouplingRecorder) -> None:
    """As narrow as what it meets."""
    target = node.outputs[0]
    axes = tuple(book.fresh(size) if size > 1 else None for size in book.shapes[target])
    book.write(target, axes)
    for ids, origin in zip(axes, origins_of(node, 0, book), strict=False):
        if ids is not None:
            state_width_at(origin, ids, book)


register(
    {
        "Shape": OperatorSpec(shape, shape_coupling, gives_numbers=True, reads_shape_alone=True),
        "Size": OperatorSpec(size, number_coupling, gives_numbers=True, reads_shape_alone=True),
        "Range": OperatorSpec(range_, number_coupling, read_by_python=(0, 1, 2)),
        "ConstantOfShape": OperatorSpec(
            constant_of_shape, constant_of_shape_coupling, read_by_python=(0,)
        ),
        "BitCast": OperatorSpec(bit_cast, in_single=True),
        "Constant": OperatorSpec(constant, is_constant=True),
    },
)
