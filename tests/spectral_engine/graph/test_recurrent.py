"""LSTM, GRU and RNN with every option against onnxruntime, and their gradients on both paths."""

import itertools

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import helper

from spectral_engine.errors import ModelInvalid
from spectral_engine.graph.loading import load

TIME, BATCH, IN, HIDDEN = 5, 3, 4, 6
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
DIRECTIONS = ("forward", "reverse", "bidirectional")
OPTIONS = {
    "plain": {},
    "clip": {"clip": 0.4},
    "linear_before_reset": {"linear_before_reset": 1},
    "input_forget": {"input_forget": 1},
    "activations": {"activations": ["HardSigmoid", "Elu", "Softsign"]},
    "tuned": {
        "activations": ["HardSigmoid", "LeakyRelu", "ScaledTanh"],
        "activation_alpha": [0.3, 0.2, 1.5],
        "activation_beta": [0.4, 0.7],
    },
    "relu": {"activations": ["Relu"]},
}
LEGAL = {
    "LSTM": {"plain", "clip", "input_forget", "activations", "tuned"},
    "GRU": {"plain", "clip", "linear_before_reset", "activations"},
    "RNN": {"plain", "clip", "relu"},
}
PLAIN_CASES = [
    (kind, option, direction, "none")
    for kind, option, direction in itertools.product(GATES, OPTIONS, DIRECTIONS)
    if option in LEGAL[kind]
]
MORE_CASES = [
    *itertools.product(GATES, ["plain"], DIRECTIONS, ["lengths", "states", "no_bias"]),
    *(("LSTM", "plain", direction, "peepholes") for direction in DIRECTIONS),
    ("GRU", "linear_before_reset", "bidirectional", "lengths"),
]


def build(kind, option, direction, extra):
    random = np.random.default_rng(3)
    count = 2 if direction == "bidirectional" else 1
    rows = GATES[kind] * HIDDEN

    def draw(*shape):
        return (random.standard_normal(shape) * 0.5).astype(np.float32)

    inputs = {
        "X": draw(TIME, BATCH, IN),
        "W": draw(count, rows, IN),
        "R": draw(count, rows, HIDDEN),
        "B": None if extra == "no_bias" else draw(count, 2 * rows),
        "lens": np.array([5, 2, 3], np.int32) if extra == "lengths" else None,
        "h": draw(count, BATCH, HIDDEN) if extra == "states" else None,
    }
    outputs = ["Y", "Y_h"]
    if kind == "LSTM":
        inputs["c"] = draw(count, BATCH, HIDDEN) if extra == "states" else None
        inputs["P"] = draw(count, 3 * HIDDEN) if extra == "peepholes" else None
        outputs.append("Y_c")
    attributes = dict(OPTIONS[option], hidden_size=HIDDEN, direction=direction)
    for key in ("activations", "activation_alpha", "activation_beta"):
        if key in attributes:
            wanted = {"LSTM": 3, "GRU": 2, "RNN": 1}[kind] if key == "activations" else None
            attributes[key] = attributes[key][:wanted] * count
    names = [name if value is not None else "" for name, value in inputs.items()]
    given = {name: value for name, value in inputs.items() if value is not None}
    graph = helper.make_graph(
        [helper.make_node(kind, names, outputs, **attributes)],
        "g",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for n, v in given.items()
        ],
        [helper.make_tensor_value_info(n, 1, [None] * (4 if n == "Y" else 3)) for n in outputs],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString(), given


@pytest.mark.parametrize(("kind", "option", "direction", "extra"), [*PLAIN_CASES, *MORE_CASES])
def test_it_computes_what_onnxruntime_computes(kind, option, direction, extra):
    model, given = build(kind, option, direction, extra)
    expected = onnxruntime.InferenceSession(model).run(None, given)
    computed = load(model)(**{name: torch.from_numpy(value) for name, value in given.items()})
    for value, wanted in zip(computed.values(), expected, strict=True):
        np.testing.assert_allclose(value.numpy(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("name", ["X", "W", "R", "B", "h"])
def test_shapes_that_do_not_fit_are_refused_before_a_kernel_trusts_them(kind, name):
    model, given = build(kind, "plain", "forward", "states")
    tensors = {key: torch.from_numpy(value) for key, value in given.items()}
    tensors[name] = tensors[name][..., :-1].contiguous()
    if kind == "GRU":  # the plain GRU is a loop, which torch itself checks
        model = build(kind, "linear_before_reset", "forward", "states")[0]
    with pytest.raises(ModelInvalid, match=kind):
        load(model)(**tensors)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("extra", ["none", "lengths"])
def test_gradients_flow_to_data_and_weights(kind, extra):
    model, given = build(kind, "plain", "bidirectional", extra)
    module = load(model)
    names = [name for name, value in given.items() if value.dtype == np.float32]
    tensors = {name: torch.from_numpy(value) for name, value in given.items()}

    def function(*values):
        outputs = module(**{**tensors, **dict(zip(names, values, strict=True))})
        return tuple(outputs.values())

    doubles = [tensors[name].double().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(function, doubles, fast_mode=True, atol=1e-4)
