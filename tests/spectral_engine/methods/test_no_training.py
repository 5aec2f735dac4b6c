"""A job that trains nothing: cut at once by damage that is measured, solved by least squares, without a label."""

import numpy as np
import pytest

import spectral_engine as se
from spectral_engine.compensation.elimination import ReaderOfLayer, order_of
from spectral_engine.errors import InvalidRequest
from tests.support.digits import save_all, splits


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_all(tmp_path_factory.mktemp("no-training"))


@pytest.fixture(scope="module")
def unlabelled(folder):
    path = folder / "unlabelled.npz"
    np.savez(path, x=np.concatenate([splits()[f"x_{part}"] for part in ("train", "val", "test")]))
    return path


def cut_down(folder, data, kind, **prune):
    recipe = {
        "target": {"keep_nodes": 0.5},
        "training": {"epochs": 0},
        "prune": {"candidates": 2, "round_to": 1, **prune},
    }
    return se.compress(folder / f"{kind}.onnx", data, recipe)


@pytest.mark.parametrize("kind", ["perceptron", "convolutional"])
def test_half_of_the_nodes_go_and_most_answers_stay(folder, unlabelled, kind):
    """Masked and cut model were compared on the way: a job whose proof fails raises NumericMismatch."""
    result = cut_down(folder, unlabelled, kind)
    report = result.report.data
    assert len(result.candidates) == 2
    assert result.chosen.entry.measurement.nodes <= 0.5 * report.baseline.nodes
    assert result.chosen.entry.measurement.metric.value > 0.85  # agreement with the original
    assert report.recipe["prune"]["when"] == "post"
    assert any("no training was asked for" in warning for warning in report.warnings)
    assert "measured on the answers to training rows" in report.plan().statement
    means = cut_down(folder, unlabelled, kind, compensate="mean", score="l2")
    assert "ranked by l2" in means.report.data.plan().statement
    assert (
        result.chosen.entry.measurement.metric.value > means.chosen.entry.measurement.metric.value
    )


@pytest.mark.parametrize("method", ["retrain", "sparse"])
def test_methods_that_only_train_refuse_to_do_nothing(method):
    with pytest.raises(InvalidRequest, match="epochs"):
        se.Recipe.parse({"method": method, "training": {"epochs": 0}})


@pytest.mark.parametrize("when", ["gradual", "pre"])
def test_ways_that_train_while_they_cut_are_refused(when):
    with pytest.raises(InvalidRequest, match="post"):
        se.Recipe.parse({"training": {"epochs": 0}, "prune": {"when": when}})


def test_the_order_of_elimination_is_that_of_solving_each_choice_anew():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(500, 6)) @ generator.normal(size=(6, 6))
    x -= x.mean(axis=0)
    weight = generator.normal(size=(6, 3))
    covariance = x.T @ x / len(x)

    def loss(kept: list[int]) -> float:
        y = x @ weight
        solved = np.linalg.lstsq(x[:, kept], y, rcond=None)[0]
        return float(((y - x[:, kept] @ solved) ** 2).sum())

    expected, left = [], list(range(6))
    while len(left) > 1:
        best = min(left, key=lambda node: loss([other for other in left if other != node]))
        expected.append(best)
        left.remove(best)
    order = order_of(6, [ReaderOfLayer(np.arange(6), covariance, weight, 1.0)])
    assert order.tolist() == [*expected, *left]
