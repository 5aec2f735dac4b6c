"""New initializers in a graph, and those that are worked out when they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray


def add_initializer(
    model: ir.Model, name: str, array: NDArray[Any], dtype: ir.DataType | None = None
) -> ir.Value:
    """Register an array under a name that is free, in its own type or another one; return its value."""
    converted = np.asarray(array if dtype is None else array.astype(dtype.numpy()))
    tensor = ir.Tensor(converted, dtype=dtype, name=name)
    kind = ir.TensorType(tensor.dtype)
    value = ir.Value(name=name, shape=tensor.shape, type=kind, const_value=tensor)
    model.graph.register_initializer(value)
    return value


def derived(tensor: ir.TensorProtocol, change: Callable[[NDArray[Any]], None]) -> ir.LazyTensor:
    """Return a tensor as another one, with a change that is made on a copy, whenever it is read.

    So a whole model is changed while no more than one of its tensors is in memory.
    """

    def make() -> ir.Tensor[NDArray[Any]]:
        array = tensor.numpy().copy()
        change(array)
        return ir.Tensor(array, tensor.dtype, name=tensor.name)

    shape = ir.Shape(tensor.shape.numpy())
    return ir.LazyTensor(make, tensor.dtype, shape, name=tensor.name)


class PlaceholderTensor(ir.LazyTensor):
    """Stands in for an initializer that is held elsewhere: it knows type and shape, and reads as NaN."""

    def __init__(self, name: str, dtype: ir.DataType, shape: Sequence[int]) -> None:
        nothing = np.broadcast_to(np.array(np.nan, dtype.numpy()), shape)
        super().__init__(
            lambda: ir.Tensor(nothing, dtype, name=name), dtype, ir.Shape(shape), name=name
        )
