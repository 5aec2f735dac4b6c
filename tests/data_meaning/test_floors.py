"""A floor is asked in a metric that knowing nothing does not keep, and that goes with what the labels are."""

import numpy as np
import pytest

import spectral_engine as se
from examples.specimens.wrecks import draw, trained
from spectral_engine.errors import DatasetMismatch, InvalidRequest
from spectral_engine.preparation.prepare import prepare
from spectral_engine.records.recipe import Recipe
from tests.support.label_cases import FEATURES, X, linear

RANDOM = np.random.default_rng(3)
WEIGHTS = RANDOM.normal(size=(FEATURES, 4))
SCORES = X @ WEIGHTS.astype(np.float32)


def job(folder, model, y, **recipe):
    np.savez(folder / "d.npz", x=X, y=y)
    return prepare(model, folder / "d.npz", Recipe.parse(recipe))


def rare(columns: int) -> tuple[bytes, np.ndarray]:
    """Yes in some 4 % of the rows, in each column; the model is always right but where it says yes too often."""
    threshold = np.quantile(SCORES[:, :columns], 0.96, axis=0).astype(np.float32)
    model = linear(WEIGHTS[:, :columns], [], (columns,), bias=-threshold + np.float32(0.02))
    return model, (SCORES[:, :columns] > threshold).astype(np.int64)


@pytest.mark.parametrize("columns", [1, 4])
def test_where_yes_is_rare_a_floor_is_judged_over_both_answers_alike(tmp_path, columns):
    model, y = rare(columns)
    strict = job(tmp_path, model, y, target={"max_metric_drop": 0.08})
    assert strict.evaluation.metric == "balanced_accuracy"
    assert any("would lose" in reason for reason in strict.meaning.why)
    assert job(tmp_path, model, y, target={"keep_nodes": 0.5}).evaluation.metric == "accuracy"
    with pytest.raises(DatasetMismatch, match="would lose"):
        job(tmp_path, model, y, metric="accuracy", target={"max_metric_drop": 0.08})


def test_a_floor_that_knowing_nothing_exceeds_stays_in_accuracy(tmp_path):
    y = (SCORES[:, 0] > 0).astype(np.int64)
    setup = job(tmp_path, linear(WEIGHTS[:, :1], [], (1,)), y, target={"max_metric_drop": 0.08})
    assert setup.evaluation.metric == "accuracy"


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "auc", "log_loss", "miou", "top5"])
def test_numbers_have_no_metric_of_classes(tmp_path, metric):
    y = 100 + 50 * SCORES[:, 0]
    model = linear(WEIGHTS[:, :1] * 50, [], (1,), bias=np.array([100], np.float32))
    with pytest.raises(InvalidRequest) as refused:
        job(tmp_path, model, y.astype(np.float32), metric=metric)
    assert refused.value.pointer == "#/recipe/metric"


def test_yes_and_no_beside_a_sigmoid_are_no_numbers(tmp_path):
    """However poor the model is: one that never says yes is refused, and not judged by r2."""
    y = (SCORES[:, 0] > np.quantile(SCORES[:, 0], 0.9)).astype(np.float32)[:, None]
    model = linear(WEIGHTS[:, :1], [("Sigmoid", {})], (1,), bias=np.array([-60], np.float32))
    with pytest.raises(DatasetMismatch, match="no better than chance"):
        job(tmp_path, model, y)


def test_no_candidate_agrees_with_the_original_more_than_it_does_itself(tmp_path):
    recipe = {"target": {"keep_nodes": 0.5}, "training": {"epochs": 1}}
    model = trained(draw("classes", 200, seed=0), tmp_path / "net.onnx")
    np.savez(tmp_path / "d.npz", x=draw("classes", 200, seed=1).x)
    for entry in se.compress(model, tmp_path / "d.npz", recipe).report.data.candidates:
        assert 0 <= entry.drop.interval.low <= entry.drop.value
