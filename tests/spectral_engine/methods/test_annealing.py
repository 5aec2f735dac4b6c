"""How a candidate's training ends: averaged weights, early stopping, half precision."""

import numpy as np
import onnx
import pytest

import spectral_engine as se
from spectral_engine.training.early_stopping import EarlyStopping
from tests.support.digits import save_all


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_all(tmp_path_factory.mktemp("cooling"))


def retrain(folder, data="digits.npz", on_progress=lambda progress: None, **training):
    training = {"epochs": 6, "learning_rate": 3e-3, **training}
    recipe = {
        "method": "retrain",
        "training": training,
        "target": {"max_metric_drop": 0.99},
        "seen_by_original": False,
    }
    return se.compress(folder / "perceptron.onnx", folder / data, recipe, on_progress)


def weights(result) -> np.ndarray:
    initializers = onnx.load_from_string(result.chosen.model_bytes).graph.initializer
    return np.concatenate(
        [onnx.numpy_helper.to_array(w).ravel() for w in initializers if w.data_type == 1]
    )


def test_averaged_weights_lie_near_the_last_ones_and_are_not_them(folder):
    last, averaged = weights(retrain(folder)), weights(retrain(folder, average=0.9))
    assert 0 < np.abs(last - averaged).max() < 0.1 * np.abs(last).max()


def test_half_precision_computes_otherwise_and_learns_the_same(folder):
    full, half = retrain(folder), retrain(folder, precision="bfloat16")
    assert not np.array_equal(weights(full), weights(half))
    metrics = [r.chosen.entry.measurement.metric.value for r in (full, half)]
    assert metrics[1] == pytest.approx(metrics[0], abs=0.03)


def test_a_training_that_gets_no_better_ends_early(folder):
    steps = {}
    for patience in (None, 1):
        seen = []

        def note(progress, seen=seen):
            if progress.stage == "fine_tuning":
                seen.append(progress.step)

        result = retrain(folder, on_progress=note, epochs=40, patience=patience)
        steps[patience] = len(seen)
        assert result.chosen.entry.measurement.metric.value > 0.9
    assert steps[1] < steps[None]


def test_what_was_best_is_given_back_and_a_tie_is_no_progress():
    states = iter("abcdef")
    stopping = EarlyStopping(2, lambda: {"state": next(states)})
    assert [stopping.is_over(score) for score in (0.5, 0.7, 0.7, 0.6)] == [
        False,
        False,
        False,
        True,
    ]
    assert stopping.best_state() == {"state": "b"}


def test_progress_of_one_measurement_starts_the_wait_anew():
    stopping = EarlyStopping(2, dict)
    assert not any(stopping.is_over(score) for score in (0.5, 0.4, 0.6, 0.5, 0.7))
