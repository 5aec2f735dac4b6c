"""Pools whose window reaches beyond all there is: one window, as onnxruntime rounds, beside axes that round down."""

import itertools

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from spectral_engine.graph.loading import load

SIZES = [(1, 4), (2, 5), (1, 1), (2, 7)]
PADS = [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 1, 0)]
CASES = [
    ("MaxPool", {}),
    ("AveragePool", {}),
    ("AveragePool", {"count_include_pad": 1}),
    ("AveragePool", {"dilations": (2, 1)}),
    ("LpPool", {}),
]


def pool(kind, **attributes):
    names = ["y", "places"] if kind == "MaxPool" else ["y"]
    types = [TensorProto.FLOAT, TensorProto.INT64]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, "high", "wide"])
    outputs = [
        helper.make_tensor_value_info(name, type_, [None] * 4)
        for name, type_ in zip(names, types, strict=False)
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, ["x"], names, **attributes)], "g", [x], outputs
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=8)
    return model.SerializeToString()


def expected_of(model, x):
    """Return the answers, None where the window reaches beyond by more than a stride: there is none."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        answers = onnxruntime.InferenceSession(model, options).run(None, {"x": x})
    except Fail:
        return None
    return answers if answers[0].size else None


@pytest.mark.parametrize(("kind", "more"), CASES)
def test_a_window_beyond_all_there_is_takes_what_there_is(kind, more):
    seen = 0
    for sizes, kernel, strides, pads in itertools.product(
        SIZES, [(2, 2), (3, 2)], [(2, 2), (3, 1), (3, 3)], PADS
    ):
        model = pool(kind, kernel_shape=kernel, strides=strides, pads=pads, **more)
        x = np.random.default_rng(0).standard_normal((2, 2, *sizes)).astype(np.float32)
        expected = expected_of(model, x)
        if expected is None:
            continue
        computed = load(model)(x=torch.from_numpy(x))
        for value, wanted in zip(computed.values(), expected, strict=False):
            np.testing.assert_allclose(value.numpy(), wanted, atol=1e-5)
        seen += 1
    assert seen > 20
