"""ONNX's own shape inference, of one node at a time: lengths in, lengths out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import TensorProto, TypeProto, defs, numpy_helper, shape_inference

Dim = (
    int | str
)  # a length that is certain, or the name of an open one; "" where there is not even that
Dims = tuple[Dim, ...]
FAILURES = (
    shape_inference.InferenceError,
    onnx.checker.ValidationError,
    defs.SchemaError,
    RuntimeError,
    ValueError,
    TypeError,
)
MOST_KNOWN = 64  # entries of an initializer that are shown to inference: axes, sizes, scales


class NodeInference:
    """What the operators of a model say of the lengths of their outputs.

    Shapes that the file states for values in between are not looked at: they may be those of another length.
    """

    def __init__(self, model: ir.Model, numbers: Mapping[str, NDArray[Any]]) -> None:
        self.numbers = numbers
        self.opsets = dict(model.opset_imports)
        self.imports = [onnx.helper.make_opsetid(d, v) for d, v in self.opsets.items()]
        tensors = {name: value.const_value for name, value in model.graph.initializers.items()}
        self.kinds = {value.name or "": _kind(value) for value in model.graph.inputs} | {
            name: _kind(value) for name, value in model.graph.initializers.items()
        }
        self.kinds.update(
            (name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype))
            for name, array in numbers.items()
        )
        self.constants = {
            name: numpy_helper.from_array(tensor.numpy(), name)
            for name, tensor in tensors.items()
            if tensor is not None
            and tensor.size <= MOST_KNOWN
            and tensor.dtype in {ir.DataType.INT64, ir.DataType.INT32, ir.DataType.FLOAT}
        }

    def outputs(
        self, node: ir.Node, sizes: Mapping[str, Dims], sure: Collection[str]
    ) -> dict[str, Dims]:
        """Return the lengths of a node's outputs by name, none where nothing is told.

        `sizes` are those of its inputs; the numbers of `sure` ones may be read.
        """
        given = {value.name: value for value in node.inputs if value is not None and value.name}
        types = {
            name: _type(self.kinds.get(name) or _kind(value), sizes.get(name))
            for name, value in given.items()
        }
        data = {name: self.constants[name] for name in given if name in self.constants}
        for name in given:
            if name in sure and name not in data:
                data[name] = numpy_helper.from_array(np.asarray(self.numbers[name]), name)
        try:
            version = node.version or self.opsets.get(node.domain) or 1
            schema = defs.get_schema(node.op_type, version, node.domain)
            inferred = shape_inference.infer_node_outputs(
                schema, ir.to_proto(node), types, data, opset_imports=self.imports
            )
        except FAILURES:
            return {}
        tensors = {
            name: kind.tensor_type
            for name, kind in inferred.items()
            if kind.HasField("tensor_type")
        }
        self.kinds.update({name: tensor.elem_type for name, tensor in tensors.items()})
        return {name: _dims(tensor) for name, tensor in tensors.items() if tensor.HasField("shape")}


def _kind(value: ir.Value) -> int:
    return TensorProto.FLOAT if value.dtype is None else int(value.dtype)


def _type(kind: int, dims: Dims | None) -> TypeProto:
    return onnx.helper.make_tensor_type_proto(kind, None if dims is None else [*dims])


def _dims(tensor: Any) -> Dims:
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim
    )
