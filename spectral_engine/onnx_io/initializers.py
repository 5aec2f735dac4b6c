"""New initializers in a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray


def add_initializer(
    model: ir.Model, name: str, array: NDArray[Any], dtype: ir.DataType | None = None
) -> ir.Value:
    """Register an array under a name that is free, in its own type or another one; return its value."""
    held = np.asarray(array if dtype is None else array.astype(dtype.numpy()))
    tensor = ir.Tensor(held, dtype=dtype, name=name)
    kind = ir.TensorType(tensor.dtype)
    value = ir.Value(name=name, shape=tensor.shape, type=kind, const_value=tensor)
    model.graph.register_initializer(value)
    return value
