"""The learning rate that is found when none is asked for."""

import numpy as np
import pytest

import spectral_engine as se
from spectral_engine.training.rate import find_rate, steps_of_test
from tests.support.digits import save_all


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_all(tmp_path_factory.mktemp("rate"))


def executed(model, data, epochs=4, **training):
    recipe = {
        "method": "retrain",
        "training": {"epochs": epochs, **training},
        "target": {"max_metric_drop": 0.99},
    }
    return se.compress(model, data, recipe).report.data


def rate_of(report) -> float:
    return report.recipe["training"]["learning_rate"]


def test_the_report_states_the_rate_that_was_found_or_asked_for(folder):
    model, data = folder / "perceptron.onnx", folder / "digits.npz"
    assert 1e-4 <= rate_of(executed(model, data)) <= 3e-2
    assert rate_of(executed(model, data, learning_rate=7e-4)) == 7e-4


class Cliff:
    """A training whose loss is 1 until the rate passes a cliff, and 3 from there."""

    def __init__(self, cliff):
        self.cliff, self.rates = cliff, []

    def step(self, batch, rate):
        self.rates.append(rate)
        return 3.0 if rate > self.cliff else 1.0


class Rows:
    def at_step(self, step, seed):
        return None


@pytest.mark.parametrize("cliff", [1e-3, 1e-2, 4e-2])
def test_the_rate_is_about_half_of_where_the_loss_rises(cliff):
    training = Cliff(cliff)
    rate = find_rate(training, Rows(), seed=0, steps=steps_of_test(1000))
    assert 0.5 * cliff <= rate <= 1.2 * cliff
    assert training.rates == sorted(training.rates)


def test_a_loss_that_never_rises_gets_the_largest_rate_without_a_step_beyond_what_tells():
    training = Cliff(10.0)
    assert find_rate(training, Rows(), seed=0, steps=steps_of_test(1000)) == 3e-2
    assert max(training.rates) < 6e-2


def test_a_training_too_short_for_a_test_takes_the_usual_rate(tmp_path, folder):
    with np.load(folder / "digits.npz") as digits:
        np.savez(tmp_path / "few.npz", **{name: array[:128] for name, array in digits.items()})
    assert rate_of(executed(folder / "perceptron.onnx", tmp_path / "few.npz", epochs=1)) == 3e-3
