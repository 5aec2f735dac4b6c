"""Operators that have no torch function here: the file is analysed, cut, proved and measured all the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper, parser

import spectral_engine as se
from spectral_engine.errors import UnsupportedOperator

ROWS = 200
RANDOM = np.random.default_rng(2)
HEADER = '<ir_version: 8, opset_import: ["" : 17, "ai.onnx.ml" : 3, "com.microsoft" : 1]>\n'


def model_of(text, weights):
    model = parser.parse_model(HEADER + text)
    for name, shape in weights.items():
        drawn = (RANDOM.standard_normal(shape) * 0.4).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(drawn, name))
    onnx.checker.check_model(model)
    return model.SerializeToString()


def regressor(size):
    """An operator without a torch function here, which adds each feature to the next one."""
    table = (np.eye(size) + np.eye(size, k=1)).reshape(-1)
    numbers = ", ".join(f"{number:.1f}" for number in table)
    return f"ai.onnx.ml.LinearRegressor<coefficients: floats = [{numbers}], targets: int = {size}>"


BETWEEN = model_of(
    f"""g (float[N, 8] x) => (float[N, 3] y) {{
        a = Gemm(x, w1, b1) r = Relu(a) c = Gemm(r, w2, b2)
        f = {regressor(16)}(c)
        t = Relu(f) d = Gemm(t, w3, b3) u = Relu(d) y = Gemm(u, w4, b4)
    }}""",
    {
        "w1": (8, 32), "b1": (32,), "w2": (32, 16), "b2": (16,),
        "w3": (16, 24), "b3": (24,), "w4": (24, 3), "b4": (3,),
    },
)  # fmt: skip
AT_THE_END = model_of(
    f"""g (float[N, 8] x) => (float[N, 3] y) {{
        a = Gemm(x, w1, b1) r = Relu(a) c = Gemm(r, w2, b2)
        y = {regressor(3)}(c)
    }}""",
    {"w1": (8, 32), "b1": (32,), "w2": (32, 3), "b2": (3,)},
)
IN_FRONT = model_of(
    """g (int64[N, 12] x) => (float[N, 3] y) {
        v = TfIdfVectorizer<min_gram_length: int = 1, max_gram_length: int = 1, max_skip_count: int = 0,
            mode: string = "TF", ngram_counts: ints = [0], ngram_indexes: ints = [0, 1, 2, 3, 4, 5, 6, 7],
            pool_int64s: ints = [0, 1, 2, 3, 4, 5, 6, 7]>(x)
        a = Gemm(v, w1, b1) r = Relu(a) y = Gemm(r, w2, b2)
    }""",
    {"w1": (8, 32), "b1": (32,), "w2": (32, 3), "b2": (3,)},
)
FLOATS = RANDOM.standard_normal((ROWS, 8)).astype(np.float32)
TOKENS = RANDOM.integers(0, 10, (ROWS, 12))
NETS = {
    "between": (BETWEEN, FLOATS),
    "at the end": (AT_THE_END, FLOATS),
    "in front": (IN_FRONT, TOKENS),
}


@pytest.mark.parametrize("name", NETS)
def test_the_module_answers_as_onnxruntime_does(name):
    model, x = NETS[name]
    with torch.no_grad():
        answers = se.load(model)(x=torch.from_numpy(x))["y"]
    expected = onnxruntime.InferenceSession(model).run(None, {"x": x})[0]
    np.testing.assert_allclose(answers.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_what_it_does_not_touch_is_cut_and_proved(name, tmp_path):
    model, x = NETS[name]
    np.savez(tmp_path / "data.npz", x=x)
    recipe = {
        "target": {"keep_nodes": 0.6},
        "training": {"epochs": 2},
        "prune": {"candidates": 1},
    }

    report = se.compress(model, tmp_path / "data.npz", recipe).report.data

    chosen = report.chosen_candidate()
    assert chosen.exactness.max_abs_difference <= 1e-5
    assert chosen.measurement.nodes < report.baseline.nodes
    assert any("without a gradient" in warning for warning in report.warnings)


def test_nodes_behind_it_are_ranked_by_their_weights_and_not_taken_for_worthless(tmp_path):
    """Half of the first layer is read by nobody: that half goes, though no gradient reaches either."""
    proto = onnx.load_from_string(BETWEEN)
    for tensor in proto.graph.initializer:
        if tensor.name == "w1":
            weights = numpy_helper.to_array(tensor).copy()
            weights[:, ::2] *= 1e-3
            tensor.CopyFrom(numpy_helper.from_array(weights, "w1"))
    np.savez(tmp_path / "data.npz", x=FLOATS)
    recipe = {"target": {"keep_nodes": 0.6}, "training": {"epochs": 2}, "prune": {"candidates": 1}}

    report = se.compress(proto.SerializeToString(), tmp_path / "data.npz", recipe).report.data

    first = report.relevance[0].layer
    kept = [node.index for node in report.relevance if node.layer == first and node.kept]
    assert kept
    assert sum(index % 2 for index in kept) >= 0.8 * len(kept)


def test_an_analysis_names_what_stays_and_why():
    analysis = se.analyze(BETWEEN)
    reasons = [layer.reason or "" for layer in analysis.untouched]
    assert any("LinearRegressor has no coupling rule" in reason for reason in reasons)
    assert analysis.floor.params < analysis.now.params


def test_an_operator_that_answers_at_random_is_refused_by_name():
    model = model_of(
        """g (float[N, 8] x) => (float[N, 3] y) {
            n = RandomNormalLike(x) s = Add(x, n) a = Gemm(s, w1, b1) r = Relu(a) y = Gemm(r, w2, b2)
        }""",
        {"w1": (8, 32), "b1": (32,), "w2": (32, 3), "b2": (3,)},
    )
    with pytest.raises(UnsupportedOperator, match=r"RandomNormalLike.*at random"):
        se.load(model)
