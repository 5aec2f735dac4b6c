"""Operators that have no torch function here: onnxruntime computes them, and no gradient passes through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper
from torch import Tensor

from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register_for_others
from spectral_engine.graph.operators.types import as_tensor
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node, Subgraph

if TYPE_CHECKING:
    import onnxruntime

IR_VERSION = 8
DRAWN = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}
Array = NDArray[Any]


def build(node: Node, mode: Mode) -> Function:
    """Return the function of one node, run by onnxruntime; raises UnsupportedOperator where it cannot be."""
    if node.op_type in DRAWN:
        raise node.unsupported(
            "it answers at random, so that nothing can be proved of a model with it"
        )
    if any(isinstance(value, Subgraph) for value in node.attributes.values()):
        raise node.unsupported("this operator is not supported, and has a body")
    return _InOnnxruntime(node)


class _InOnnxruntime:
    """One node as a model of its own, opened once for each combination of input types."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.sessions: dict[tuple[str | None, ...], onnxruntime.InferenceSession] = {}

    def __call__(self, *inputs: Tensor | None) -> Any:
        arrays = [None if value is None else _as_array(value) for value in inputs]
        device = next((value.device for value in inputs if value is not None), None)
        results = [as_tensor(self._checked(answer)) for answer in self._run(arrays)]
        placed = [result if device is None else result.to(device) for result in results]
        return placed[0] if len(placed) == 1 else tuple(placed)

    def _run(self, arrays: list[Array | None]) -> list[Any]:
        given = {f"i{at}": array for at, array in enumerate(arrays) if array is not None}
        kinds = tuple(None if array is None else array.dtype.name for array in arrays)
        try:
            if kinds not in self.sessions:
                self.sessions[kinds] = _opened(_alone(self.node, given, len(arrays)))
            return list(self.sessions[kinds].run(None, given))
        except Exception as error:  # onnxruntime raises a class of its own for each status
            reason = " ".join(str(error).split())[:200]
            raise self.node.unsupported(
                f"it runs neither here nor in onnxruntime: {reason}"
            ) from error

    def _checked(self, answer: Any) -> Array:
        if not isinstance(answer, np.ndarray) or answer.dtype.kind not in "fiub":
            raise self.node.unsupported("it answers what is no tensor of numbers")
        return answer


def _as_array(value: Tensor) -> Array:
    """Return a tensor's numbers; halves, as autocast makes them, in single precision."""
    plain = value.detach().cpu()
    halves = (torch.float16, torch.bfloat16)
    array: Array = (plain.float() if plain.dtype in halves else plain).numpy()
    return array


def _opened(model: ModelProto) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _alone(node: Node, given: Mapping[str, Array], count: int) -> ModelProto:
    names = [f"i{at}" if f"i{at}" in given else "" for at in range(count)]
    outputs = [f"o{at}" if name else "" for at, name in enumerate(node.outputs)]
    alone = helper.make_node(node.op_type, names, outputs, domain=node.domain)
    for name, value in node.attributes.items():
        attribute = numpy_helper.from_array(value, name) if isinstance(value, np.ndarray) else value
        alone.attribute.append(helper.make_attribute(name, attribute))
    takes = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim
        )
        for name, array in given.items()
    ]
    # Outputs without a type: onnxruntime infers it.
    answers = [helper.make_empty_tensor_value_info(name) for name in outputs if name]
    opsets = [helper.make_opsetid(node.domain, node.opset)]
    if node.domain:
        opsets.append(helper.make_opsetid("", 17))
    graph = helper.make_graph([alone], "one node", takes, answers)
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


# Without a coupling rule, all that such an operator touches stays; what it reads as weights is not trained.
register_for_others(OperatorSpec(build))
