"""A training that leaves the finite numbers begins again once, at a third of the rate."""

import pytest

import spectral_engine as se
from spectral_engine.errors import Diverged
from spectral_engine.training.trainer import Trainer
from tests.support.digits import save_all

RATE = 3e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_all(tmp_path_factory.mktemp("divergence"))


def compress(folder, rate, told=None):
    recipe = {
        "target": {"keep_nodes": 0.5},
        "training": {"epochs": 3, "learning_rate": rate},
        "prune": {"candidates": 2},
        "seen_by_original": False,  # nothing else trains
    }
    hear = (lambda progress: None) if told is None else told.append
    return se.compress(folder / "perceptron.onnx", folder / "digits.npz", recipe, hear)


def test_a_training_that_diverges_once_gives_what_the_lower_rate_gives_from_the_start(
    folder, monkeypatch
):
    calm = compress(folder, RATE / 3)
    take, steps = Trainer.step, iter(range(10**6))

    def step(self, *arguments, **more):
        if next(steps) == 20:
            raise Diverged("the loss became nan at step 20")
        return take(self, *arguments, **more)

    monkeypatch.setattr(Trainer, "step", step)
    told = []
    found = compress(folder, RATE, told)
    assert [c.model_bytes for c in found.candidates] == [c.model_bytes for c in calm.candidates]
    assert found.report.data.recipe["training"]["learning_rate"] == pytest.approx(RATE / 3)
    warning = "the loss became nan at step 20; training began again at a third of the rate"
    assert [progress.warning for progress in told if progress.warning] == [warning]
    assert warning in found.report.data.warnings


def test_a_training_that_diverges_at_the_lower_rate_too_fails(folder):
    told = []
    with pytest.raises(Diverged) as caught:
        compress(folder, 1e36, told)
    assert caught.value.code == "diverged"
    assert len([progress for progress in told if progress.warning]) == 1
