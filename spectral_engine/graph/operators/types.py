"""ONNX's types as torch's."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from spectral_engine.errors import ModelTooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spectral_engine.onnx_io.node import Node

# float16 and bfloat16 models compute in float32.
TORCH_TYPES: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float32,
    TensorProto.BFLOAT16: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.UINT16: torch.uint16,
    TensorProto.UINT32: torch.uint32,
    TensorProto.UINT64: torch.uint64,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.BOOL: torch.bool,
}
HALVES = {TensorProto.FLOAT16: torch.float16, TensorProto.BFLOAT16: torch.bfloat16}
MAX_ELEMENTS = 2**31


def torch_type(node: Node, number: int) -> torch.dtype:
    """Return the type that a node asks for by ONNX's number; raises UnsupportedOperator by name."""
    dtype = TORCH_TYPES.get(number)
    if dtype is None:
        known = number in TensorProto.DataType.values()
        name = TensorProto.DataType.Name(number) if known else str(number)
        raise node.unsupported(f"type {name} is not supported")
    return dtype


def numbers(values: Tensor | None) -> list[int] | None:
    """Return a vector of integers as a list."""
    return None if values is None else [int(value) for value in values.flatten().tolist()]


def check_size(node: Node, sizes: Sequence[int]) -> None:
    """Raise ModelTooLarge before a tensor is made that no machine should hold."""
    if prod(sizes) > MAX_ELEMENTS:
        raise ModelTooLarge(
            f"node {node.name!r} ({node.op_type}) makes a tensor of {prod(sizes):,} elements",
            node=node.ref,
        )


def as_tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """Copy an ONNX constant into a tensor."""
    if array.dtype.kind not in "biuf" or array.dtype == np.float16:
        array = array.astype(np.float32)  # half precision computes in single
    return torch.from_numpy(np.array(array, copy=True))
