"""Perceptrons as sklearn-onnx writes them: node by node what skl2onnx 1.20 gives of `MLPClassifier`, and pipelines."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.neural_network import MLPClassifier

ML = "ai.onnx.ml"
NAMES = ("cat", "dog", "owl")
FEATURES, ROWS = 6, 600
Array = NDArray[np.generic]
Ending = Literal["ZipMap", "plain", "columns"]
Front = Literal["none", "Scaler", "Normalizer", "Imputer", "Binarizer", "ArrayFeatureExtractor"]

FRONTS: dict[Front, dict[str, object]] = {
    "Scaler": {"offset": [0.1 * i for i in range(FEATURES)], "scale": [1.0] * FEATURES},
    "Normalizer": {"norm": "L2"},
    "Imputer": {"imputed_value_floats": [0.0] * FEATURES, "replaced_value_float": 9.0},
    "Binarizer": {"threshold": -1.0},
    "ArrayFeatureExtractor": {},
}


@cache
def rows(classes: int = 3) -> tuple[Array, Array]:
    """Return rows [n, features] and class numbers [n]."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(classes, FEATURES)) * 1.6
    numbers = random.integers(0, classes, ROWS)
    return (centres[numbers] + random.normal(size=(ROWS, FEATURES))).astype(np.float32), numbers


@cache
def fitted(classes: int = 3) -> MLPClassifier:
    """Return a perceptron that has learned them."""
    return MLPClassifier((24, 24), max_iter=60, random_state=0).fit(*rows(classes))


def exported(
    *, classes: int = 3, text: bool = True, ending: Ending = "ZipMap", front: Front = "none"
) -> onnx.ModelProto:
    """Return the perceptron as a file, its labels as text or numbers, and its probabilities as asked for."""
    tensors: dict[str, Array] = {"flat": np.array([-1])}
    nodes, at = _front(front, tensors)
    body, probabilities = _body(fitted(classes), at, tensors)
    names: list[str] | list[int] = (
        list(NAMES[:classes]) if text else [2 * i for i in range(classes)]
    )
    initializers = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    initializers.append(_classes(names))
    ends, outputs, further = _ends(ending, probabilities, names)
    graph = helper.make_graph(
        [*nodes, *body, *_labels(probabilities), *ends],
        "ONNX(MLPClassifier)",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, FEATURES])],
        [
            helper.make_tensor_value_info(
                "label", TensorProto.STRING if text else TensorProto.INT64, [None]
            ),
            *outputs,
        ],
        [*initializers, *further],
    )
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid(ML, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="skl2onnx")


def _front(front: Front, tensors: dict[str, Array]) -> tuple[list[onnx.NodeProto], str]:
    if front == "none":
        return [], "X"
    read = ["X"]
    if front == "ArrayFeatureExtractor":
        tensors["columns"] = np.arange(FEATURES)
        read.append("columns")
    return [helper.make_node(front, read, ["prepared"], domain=ML, **FRONTS[front])], "prepared"


def _body(
    net: MLPClassifier, at: str, tensors: dict[str, Array]
) -> tuple[list[onnx.NodeProto], str]:
    nodes = [helper.make_node("Cast", [at], ["cast_input"], to=TensorProto.FLOAT)]
    at, last = "cast_input", len(net.coefs_) - 1
    for layer, (weight, bias) in enumerate(zip(net.coefs_, net.intercepts_, strict=True)):
        tensors[f"coefficient{layer}"] = weight.astype(np.float32)
        tensors[f"intercepts{layer}"] = bias.astype(np.float32)[None]
        product, total, active = (f"{kind}{layer}" for kind in ("product", "sum", "active"))
        nodes.append(helper.make_node("MatMul", [at, f"coefficient{layer}"], [product]))
        nodes.append(helper.make_node("Add", [product, f"intercepts{layer}"], [total]))
        if layer < last:
            nodes.append(helper.make_node("Relu", [total], [active]))
        at = active if layer < last else total
    if len(net.classes_) > 2:
        return [
            *nodes,
            helper.make_node("Softmax", [at], ["probabilities"], axis=1),
        ], "probabilities"
    tensors["unity"] = np.float32(1.0)
    return [
        *nodes,
        helper.make_node("Sigmoid", [at], ["positive"]),
        helper.make_node("Sub", ["unity", "positive"], ["negative"]),
        helper.make_node("Concat", ["negative", "positive"], ["probabilities"], axis=1),
    ], "probabilities"


def _labels(probabilities: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("ArgMax", [probabilities], ["place"], axis=1),
        helper.make_node("ArrayFeatureExtractor", ["classes", "place"], ["named"], domain=ML),
        helper.make_node("Reshape", ["named", "flat"], ["label"]),
    ]


def _classes(names: list[str] | list[int]) -> onnx.TensorProto:
    if isinstance(names[0], str):
        texts = [str(name).encode() for name in names]
        return helper.make_tensor("classes", TensorProto.STRING, [len(names)], texts)
    return numpy_helper.from_array(np.array(names, dtype=np.int64), "classes")


def _ends(
    ending: Ending, probabilities: str, names: list[str] | list[int]
) -> tuple[list[onnx.NodeProto], list[onnx.ValueInfoProto], list[onnx.TensorProto]]:
    if ending == "columns":
        return _columns(probabilities, len(names))
    if ending == "plain":
        node = helper.make_node("Identity", [probabilities], ["out"])
        shape = [None, len(names)]
        return [node], [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)], []
    text = isinstance(names[0], str)
    key = "classlabels_strings" if text else "classlabels_int64s"
    number = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    kind = helper.make_map_type_proto(TensorProto.STRING if text else TensorProto.INT64, number)
    node = helper.make_node("ZipMap", [probabilities], ["out"], domain=ML, **{key: names})
    return [node], [helper.make_value_info("out", helper.make_sequence_type_proto(kind))], []


def _columns(
    probabilities: str, count: int
) -> tuple[list[onnx.NodeProto], list[onnx.ValueInfoProto], list[onnx.TensorProto]]:
    nodes, bounds = [], [numpy_helper.from_array(np.array([i]), f"b{i}") for i in range(count + 1)]
    for i in range(count):
        nodes.append(
            helper.make_node("Slice", [probabilities, f"b{i}", f"b{i + 1}", "b1"], [f"s{i}"])
        )
        nodes.append(helper.make_node("Reshape", [f"s{i}", "flat"], [f"out{i}"]))
    outputs = [
        helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, [None]) for i in range(count)
    ]
    return nodes, outputs, bounds
