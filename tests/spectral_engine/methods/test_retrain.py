"""`retrain`: training in spectral space, with nothing removed; and how few parameters do it."""

import numpy as np
import onnx
import onnxruntime
import pytest

import spectral_engine as se
from spectral_engine.errors import InvalidRequest
from tests.support.digits import save_all, splits


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_all(tmp_path_factory.mktemp("retrain"))


def retrain(folder, kind="perceptron", epochs=8, rate=1e-2, **spectral):
    recipe = {
        "method": "retrain",
        "spectral": spectral,
        "training": {"epochs": epochs, "learning_rate": rate},
        "target": {"max_metric_drop": 0.5},
        "seed": 3,
        "seen_by_original": False,
    }
    return se.compress(folder / f"{kind}.onnx", folder / "digits.npz", recipe)


def floats(model: bytes) -> dict[str, np.ndarray]:
    initializers = onnx.load_from_string(model).graph.initializer
    return {w.name: onnx.numpy_helper.to_array(w) for w in initializers if w.data_type == 1}


def accuracy(model: bytes) -> float:
    logits = onnxruntime.InferenceSession(model).run(None, {"x": splits()["x_test"]})[0]
    return float((logits.argmax(1) == splits()["y_test"]).mean())


@pytest.mark.parametrize("kind", ["perceptron", "convolutional"])
@pytest.mark.parametrize("trains", ["both", "eigenvalues", "svd", "qr"])
def test_every_variant_keeps_the_graph_and_what_the_model_knows(folder, kind, trains):
    result = retrain(folder, kind, train=trains)
    before = floats((folder / f"{kind}.onnx").read_bytes())
    after = floats(result.chosen.model_bytes)
    assert {name: w.shape for name, w in after.items()} == {n: w.shape for n, w in before.items()}
    assert result.outcome == "target_met"
    assert accuracy(result.chosen.model_bytes) > 0.94
    assert any(not np.allclose(after[name], before[name]) for name in before)


def test_eigenvalues_alone_scale_the_rows_that_came_and_turn_none(folder):
    before = floats((folder / "perceptron.onnx").read_bytes())
    after = floats(retrain(folder, train="eigenvalues").chosen.model_bytes)
    for name, weight in before.items():
        if weight.ndim == 2:
            rows, trained = weight, after[name]
            cosine = (rows * trained).sum(1) / np.linalg.norm(rows, axis=1)
            np.testing.assert_allclose(cosine, np.linalg.norm(trained, axis=1), rtol=1e-3)


def trained(folder, **spectral) -> int:
    report = retrain(folder, epochs=1, **spectral).report.data
    return report.provenance.trained_parameters


def test_the_report_counts_what_trained(folder):
    weights = [w for w in floats((folder / "perceptron.onnx").read_bytes()).values() if w.ndim == 2]
    biases = nodes_out = sum(w.shape[0] for w in weights)
    nodes_in = sum(w.shape[1] for w in weights)
    least = [min(w.shape) for w in weights]
    triangles = [
        k * (k + 1) // 2 + k * (w.shape[0] - k) for k, w in zip(least, weights, strict=True)
    ]
    assert trained(folder, train="eigenvalues") == nodes_out + biases
    assert trained(folder, train="eigenvalues", two_sided=True) == nodes_out + nodes_in + biases
    assert trained(folder, train="svd") == nodes_out + biases + sum(least)
    assert trained(folder, train="qr") == nodes_out + biases + sum(triangles)
    assert trained(folder, train="both") == nodes_out + biases + sum(w.size for w in weights)


@pytest.mark.parametrize("kind", ["perceptron", "convolutional"])
def test_fresh_weights_forget_the_uploaded_ones_and_learn_again(folder, kind):
    result = retrain(folder, kind, epochs=20, init="fresh")
    before = floats((folder / f"{kind}.onnx").read_bytes())
    after = floats(result.chosen.model_bytes)
    for name, weight in before.items():
        if weight.ndim > 1:
            assert abs(np.corrcoef(weight.ravel(), after[name].ravel())[0, 1]) < 0.5
    assert accuracy(result.chosen.model_bytes) > 0.9


def test_few_fresh_eigenvalues_do_much_of_what_all_weights_do(folder):
    result = retrain(
        folder, epochs=20, rate=3e-2, train="eigenvalues", two_sided=True, init="fresh"
    )
    assert accuracy(result.chosen.model_bytes) > 0.7  # chance is 0.1


def test_the_same_seed_draws_the_same_weights(folder):
    runs = [retrain(folder, epochs=1, init="fresh").chosen.model_bytes for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("recipe", "field"),
    [
        ({"method": "retrain", "target": {"max_macs": 0.5}}, "target.max_macs"),
        ({"method": "prune", "spectral": {"train": "svd"}}, "spectral.train"),
        ({"prune": {"when": "pre"}, "spectral": {"train": "eigenvalues"}}, "spectral.train"),
    ],
)
def test_what_does_not_go_together_is_refused_by_field(recipe, field):
    with pytest.raises(InvalidRequest, match=field):
        se.Recipe.parse(recipe)
