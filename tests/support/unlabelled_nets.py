"""Models of one layer whose answers are known in closed form: a vector a row, or a map of what each pixel is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

End = tuple[str, dict[str, Any]]
FEATURES, SIDE = 6, 8


def of_rows(
    weights: np.ndarray,
    bias: np.ndarray | None = None,
    ends: Sequence[End] = (),
    *,
    name: str = "answers",
    shape: Sequence[int] | None = None,
) -> bytes:
    """A linear layer of rows [n, 6], its answers laid out as `shape`, and then some operators."""
    bias = np.zeros(weights.shape[1]) if bias is None else bias
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["v"])]
    initializers = {"w": weights.astype(np.float32), "b": bias.astype(np.float32)}
    if shape is not None:
        initializers["shape"] = np.array([0, *shape], np.int64)
        nodes.append(helper.make_node("Reshape", ["v", "shape"], ["laid_out"]))
    return _model(
        nodes, initializers, ends, name, ["n", FEATURES], ["n", *(shape or weights.shape[1:])]
    )


def of_pixels(
    weights: np.ndarray,
    bias: np.ndarray | None = None,
    ends: Sequence[End] = (),
    *,
    name: str = "answers",
    shape: Sequence[int] | None = None,
) -> bytes:
    """The same linear layer [inputs, outputs] on every pixel of images [n, inputs, 8, 8]."""
    inputs, outputs = weights.shape
    bias = np.zeros(outputs) if bias is None else bias
    initializers = {
        "w": weights.T.reshape(outputs, inputs, 1, 1).astype(np.float32),
        "b": bias.astype(np.float32),
    }
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["v"])]
    shape = shape or (outputs, SIDE, SIDE)
    return _model(nodes, initializers, ends, name, ["n", inputs, SIDE, SIDE], ["n", *shape])


def _model(
    nodes: list[onnx.NodeProto],
    initializers: dict[str, np.ndarray],
    ends: Sequence[End],
    name: str,
    given: list[Any],
    answered: list[Any],
) -> bytes:
    for operator, attributes in ends:
        here, more = nodes[-1].output[0], dict(attributes)
        constants = more.pop("constants", {})
        initializers |= constants
        inputs = [here, *constants]
        nodes.append(helper.make_node(operator, inputs, [f"{here}_{operator}"], **more))
    nodes[-1].output[0] = name
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, answered)],
        [numpy_helper.from_array(value, key) for key, value in initializers.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return made.SerializeToString()
