"""Bodies of If: their weights train and go, in both bodies, and the two files agree whichever is taken."""

import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import spectral_engine as se
from examples.specimens import row_nets
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.save import to_bytes

SHAPES = {"w1": (8, 24), "b1": (24,), "w2": (24, 12), "b2": (12,), "w3": (12, 3), "b3": (3,)}
DENSE = "a = MatMul(x, w1) c = Add(a, b1) r = Relu(c)"
REST = "d = Add(n, b2) q = Relu(d) g = MatMul(q, w3)"
BODY = {
    "plain": f"{DENSE} n = MatMul(r, w2) {REST}",
    "softmax": f"{DENSE} s = Softmax<axis: int = -1>(r) n = MatMul(s, w2) {REST}",
    "norm": f"{DENSE} s = LayerNormalization(r, b1, b1) n = MatMul(s, w2) {REST}",
    "width": f"{DENSE} s = Reshape(r, wide) t = Reshape(s, flat) n = MatMul(t, w2) {REST}",
}


def two_nets(kind="plain", inside=True):
    """One of two nets of the same names, by the rate; with `inside`, each body holds its own weights."""
    weights = SHAPES if inside else {f"{n}{side}": s for n, s in SHAPES.items() for side in "ab"}
    body = BODY[kind]
    bodies = [body, body]
    if not inside:
        for index, side in enumerate("ab"):
            for name in SHAPES:
                bodies[index] = re.sub(rf"\b{name}\b", f"{name}{side}", bodies[index])
    last = ["b3a", "b3b"] if not inside else ["b3", "b3"]
    text = f"""g (float[N, 8] x, int64 rate) => (float[N, 3] y) {{
        high = Equal(rate, sixteen)
        y = If (high) <
            then_branch: graph = first () => (float[N, 3] o) {{ {bodies[0]} o = Add(g, {last[0]}) }},
            else_branch: graph = second () => (float[N, 3] o) {{ {bodies[1]} o = Add(g, {last[1]}) }}
        >
    }}"""
    constants = {"sixteen": np.array(16), "wide": np.array([0, 24, 1]), "flat": np.array([0, 24])}
    model = onnx.load_from_string(row_nets.net(text, weights, constants))
    if inside:
        _put_inside(model)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _put_inside(model):
    """Give each body weights of its own, under the same names."""
    graph = model.graph
    node = next(n for n in graph.node if n.op_type == "If")
    for index, attribute in enumerate(node.attribute):
        for tensor in graph.initializer:
            if tensor.name in SHAPES:
                array = onnx.numpy_helper.to_array(tensor) * (1 - 2 * index)
                attribute.g.initializer.append(onnx.numpy_helper.from_array(array, tensor.name))
    kept = [tensor for tensor in graph.initializer if tensor.name not in SHAPES]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def answers(model, x, rate):
    session = onnxruntime.InferenceSession(model)
    return session.run(None, {"x": x, "rate": np.array(rate)})[0]


def half_of(coupling):
    removed = np.zeros(coupling.count, dtype=bool)
    for layer in coupling.layers:
        free = layer.groups[~coupling.pinned[layer.groups]]
        removed[free[: len(free) // 2]] = True
    return removed


@pytest.mark.parametrize("inside", [True, False], ids=["inside", "around"])
@pytest.mark.parametrize("kind", BODY)
def test_both_bodies_are_narrowed(kind, inside):
    model = two_nets(kind, inside)
    module = load(model)
    coupling = couple(module)
    removed = half_of(coupling)
    # Two layers of each body; the last one is what leaves it.
    assert removed.sum() == 2 * (12 + 6)
    assert "leaves the body of an If" in coupling.reasons.values()
    wide, narrow = (to_bytes(how(module.model, coupling, removed)) for how in (mask, cut))
    assert len(narrow) < len(model)
    x = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    for rate in (16, 8):
        told = answers(model, x, rate)
        computed = module(x=torch.from_numpy(x), rate=torch.tensor(rate))["y"]
        np.testing.assert_allclose(computed.detach().numpy(), told, atol=1e-4)
        np.testing.assert_allclose(answers(narrow, x, rate), answers(wide, x, rate), atol=1e-5)
        assert np.abs(answers(narrow, x, rate) - told).max() > 1e-3


def test_only_the_body_that_is_taken_gets_gradients():
    module = load(two_nets())
    assert len(module.trainable) == 12
    module(x=torch.ones(2, 8), rate=torch.tensor(16))["y"].sum().backward()
    reached = {name for name in module.trainable if module.initializer(name).grad is not None}
    assert reached == {name for name in module.trainable if not name.endswith("_1")}


def test_a_body_that_no_row_takes_keeps_its_weights(tmp_path):
    x = np.random.default_rng(0).standard_normal((200, 8)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, rate=np.full(200, 16))
    recipe = {
        "target": {"keep_nodes": 0.7},
        "training": {"epochs": 1, "learning_rate": 1e-3, "swap_noise": 0.0},
        "prune": {"candidates": 1},
    }
    model = two_nets()
    (tmp_path / "in.onnx").write_bytes(model)
    result = se.compress(tmp_path / "in.onnx", tmp_path / "data.npz", recipe)
    result.chosen.save(tmp_path / "out.onnx")
    narrow = (tmp_path / "out.onnx").read_bytes()
    np.testing.assert_array_equal(answers(narrow, x, 8), answers(model, x, 8))
    dims = {t.name: t.dims for t in onnx.load_from_string(narrow).graph.initializer}
    assert list(dims["w1_1"]) == [8, 24]
    assert dims["w1"][1] < 24
    reasons = {layer.reason for layer in se.analyze(model, data=tmp_path / "data.npz").layers}
    assert "no row takes its body of an If" in reasons
