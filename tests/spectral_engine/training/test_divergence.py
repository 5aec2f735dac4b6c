"""A training that leaves the finite numbers begins again once, at a third of the rate."""

import pytest

import spectral_engine as se
from spectral_engine.errors import Diverged
from spectral_engine.training.trainer import Trainer
from tests.support.digits import save_all, save_digits, splits

RATE = 3e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_all(tmp_path_factory.mktemp("divergence"))


def compress(folder, rate, told=None, *, on_progress=None, work_dir=None):
    recipe = {
        "target": {"keep_nodes": 0.5},
        "training": {"epochs": 3, "learning_rate": rate},
        "prune": {"candidates": 2},
        "seen_by_original": False,  # nothing else trains
    }
    hear = on_progress or ((lambda progress: None) if told is None else told.append)
    return se.compress(folder / "perceptron.onnx", folder / "digits.npz", recipe, hear, work_dir)


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
    result = compress(folder, RATE, told)
    assert [c.model_bytes for c in result.candidates] == [c.model_bytes for c in calm.candidates]
    assert result.report.data.recipe["training"]["learning_rate"] == pytest.approx(RATE / 3)
    warning = "the loss became nan at step 20; training began again at a third of the rate"
    assert [progress.warning for progress in told if progress.warning] == [warning]
    assert warning in result.report.data.warnings


def test_a_training_that_diverges_at_the_lower_rate_too_fails(folder):
    told = []
    with pytest.raises(Diverged) as caught:
        compress(folder, 1e36, told)
    assert caught.value.code == "diverged"
    assert len([progress for progress in told if progress.warning]) == 1


class Stopped(Exception):
    """The process that ran the job is gone."""


def at_the_warning(progress):
    return progress.warning is not None


def past_the_middle(progress):
    return progress.fraction > 0.6


def diverge_once(monkeypatch):
    """Let the 21st step from now leave the finite numbers, and none after."""
    take, steps = Trainer.step, iter(range(10**6))

    def step(self, *arguments, **more):
        if next(steps) == 20:
            raise Diverged("the loss became nan at step 20")
        return take(self, *arguments, **more)

    monkeypatch.setattr(Trainer, "step", step)


@pytest.fixture(scope="module")
def whole(folder):
    with pytest.MonkeyPatch.context() as patch:
        diverge_once(patch)
        return compress(folder, RATE)


@pytest.mark.parametrize("moment", [at_the_warning, past_the_middle])
def test_a_job_that_diverged_and_was_stopped_ends_as_one_that_was_not_stopped(
    folder, tmp_path, monkeypatch, moment, whole
):
    diverge_once(monkeypatch)

    def stop(progress):
        if moment(progress):
            raise Stopped

    with pytest.raises(Stopped):
        compress(folder, RATE, on_progress=stop, work_dir=tmp_path)
    resumed = compress(folder, RATE, work_dir=tmp_path)
    assert_ends_alike(resumed, whole)
    assert any("a third of the rate" in warning for warning in resumed.report.data.warnings)


def assert_ends_alike(resumed, whole):
    assert [c.model_bytes for c in resumed.candidates] == [c.model_bytes for c in whole.candidates]
    assert resumed.report.data.warnings == whole.report.data.warnings
    assert resumed.report.data.path == whole.report.data.path
    assert resumed.report.data.recipe == whole.report.data.recipe
    assert resumed.outcome == whole.outcome


FEW = 60  # rows too few to learn anew from at the usual rate


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    arrays = {f"{kind}_train": splits()[f"{kind}_train"][:FEW] for kind in "xy"}
    return save_digits(tmp_path_factory.mktemp("few") / "few.npz", **arrays)


@pytest.mark.parametrize(
    "moment", [at_the_warning, lambda p: p.candidate is not None and p.candidate.index == 4]
)
@pytest.mark.parametrize("diverges", [True, False])
def test_a_second_walk_that_was_stopped_ends_as_one_that_was_not_whether_it_diverges_or_not(
    folder, few, tmp_path, monkeypatch, moment, diverges
):
    asked = {
        "target": {"max_metric_drop": 0.01},
        "training": {"epochs": 12},
        "prune": {"candidates": 3},
        "seed": 1,
    }
    take = Trainer.step

    def step(self, batch, rate, after_backward=None):
        """Leave the finite numbers late in the trunk of the second walk, which is the one at a low rate."""
        if diverges and after_backward is not None and walks["second"] and self.steps == 7:
            raise Diverged("the loss became nan at step 7")
        return take(self, batch, rate, after_backward)

    walks = {"second": False}

    def run(work_dir=None, moment=lambda progress: False):
        def hear(progress):
            walks["second"] |= progress.warning is not None
            if moment(progress):
                raise Stopped

        return se.compress(folder / "perceptron.onnx", few, asked, hear, work_dir)

    monkeypatch.setattr(Trainer, "step", step)
    whole = run()
    walks["second"] = False
    with pytest.raises(Stopped):
        run(tmp_path, moment)
    resumed = run(tmp_path)
    assert_ends_alike(resumed, whole)
    assert any("trained once more" in warning for warning in resumed.report.data.warnings)
