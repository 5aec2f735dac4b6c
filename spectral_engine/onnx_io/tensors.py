"""Tensors of a file: as many numbers as their shape says."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import onnx
from onnx import TensorProto, helper

from spectral_engine.errors import ModelInvalid
from spectral_engine.onnx_io.quantized import every_node

# Fields that hold one number per element; half and small types lie in int32_data.
FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
# Several elements in one number, two numbers in one element, or bytes of any length: refused later, by type.
UNEVEN = {
    TensorProto.STRING,
    TensorProto.COMPLEX64,
    TensorProto.COMPLEX128,
    TensorProto.INT4,
    TensorProto.UINT4,
    TensorProto.FLOAT4E2M1,
    *(getattr(TensorProto, name) for name in ("INT2", "UINT2") if hasattr(TensorProto, name)),
}


def check_tensors(proto: onnx.ModelProto) -> None:
    """Raise ModelInvalid at the first tensor that holds more or fewer numbers than its shape says."""
    for tensor in _every_tensor(proto.graph):
        if tensor.data_type in UNEVEN or tensor.data_location == TensorProto.EXTERNAL:
            continue
        if tensor.data_type not in TensorProto.DataType.values():
            raise ModelInvalid(f"tensor {tensor.name!r} is of unknown type {tensor.data_type}")
        count, wanted = _count(tensor), prod(tensor.dims)
        if count != wanted:
            raise ModelInvalid(
                f"tensor {tensor.name!r} of shape {list(tensor.dims)} holds {count:,} numbers"
            )


def _every_tensor(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in every_node(graph.node):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            yield from attribute.g.initializer


def _count(tensor: TensorProto) -> float:
    if tensor.HasField("raw_data"):
        size = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        return len(tensor.raw_data) / size
    return max(len(getattr(tensor, field)) for field in FIELDS)
