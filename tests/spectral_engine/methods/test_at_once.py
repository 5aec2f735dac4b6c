"""Cutting at once: after the training, or after the eigenvalues alone have trained."""

import numpy as np
import onnx
import pytest

import spectral_engine as se
from spectral_engine.measure.block_timing import BLOCKS
from spectral_engine.methods.prune.options import Prune
from spectral_engine.methods.prune.plan import plan_pruning
from spectral_engine.records.training import Training
from tests.support.digits import save_all


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_all(tmp_path_factory.mktemp("at-once"))


def prune(folder, kind="perceptron", *, work_dir=None, on_progress=None, epochs=10, **prune):
    recipe = {
        "target": {"keep_nodes": 0.4},
        "training": {"epochs": epochs},
        "prune": {"candidates": 2, **prune},
        "seed": 2,
        "seen_by_original": False,
    }
    told = {} if on_progress is None else {"on_progress": on_progress}
    model, data = folder / f"{kind}.onnx", folder / "digits.npz"
    return se.compress(model, data, recipe, work_dir=work_dir, **told)


@pytest.mark.parametrize("when", ["post", "pre"])
@pytest.mark.parametrize("kind", ["perceptron", "convolutional"])
def test_the_cut_model_is_tuned_and_still_knows_the_digits(folder, kind, when):
    result = prune(folder, kind, when=when)
    nodes = [c.entry.measurement.nodes for c in result.candidates]
    assert result.outcome == "target_met"
    assert nodes[0] > nodes[1]
    assert result.chosen.entry.measurement.metric.value > 0.85


@pytest.mark.parametrize(
    "score", ["eigenvalue", "eigenvalue_norm", "l1", "l2", "taylor", "bn", "random"]
)
def test_every_score_ranks_both_kinds_of_layers(folder, score):
    once = {"when": "post", "candidates": 1}
    report = prune(folder, "convolutional", score=score, epochs=1, **once).report.data
    assert {row.kept for row in report.relevance} == {True, False}


def test_without_fine_tuning_all_candidates_are_cut_from_one_training(folder):
    report = prune(folder, when="post", fine_tune=False, score="l2").report.data
    assert {row.removed_at_step for row in report.relevance if not row.kept} == {
        report.path[0].step
    }
    before, after = report.baseline.metric, report.chosen_candidate().measurement.metric
    assert after.value < before.value


def test_a_node_that_is_cut_at_once_is_one_of_the_least_by_the_score(folder):
    report = prune(folder, when="post", fine_tune=False, score="l2", candidates=1).report.data
    for layer in {row.layer for row in report.relevance}:
        rows = [row for row in report.relevance if row.layer == layer]
        kept = [row.relevance for row in rows if row.kept]
        gone = [row.relevance for row in rows if not row.kept]
        assert not gone or max(gone) <= min(kept)


def test_before_the_cut_only_eigenvalues_train(folder):
    """Rows of the first layer keep their direction until the cut; without fine-tuning, to the end."""
    model = prune(folder, when="pre", fine_tune=False, compensate="none").chosen.model_bytes
    weights = {}
    for name, content in (("before", (folder / "perceptron.onnx").read_bytes()), ("after", model)):
        initializers = onnx.load_from_string(content).graph.initializer
        first = next(w for w in initializers if w.name.endswith("weight"))
        weights[name] = onnx.numpy_helper.to_array(first)
    before, after = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in weights.values()
    )
    alignment = np.abs(after @ before.T).max(axis=1)
    np.testing.assert_allclose(alignment, 1.0, atol=1e-4)


class Stopped(Exception):
    """The process that ran the job is gone."""


@pytest.mark.parametrize("when", ["post", "pre"])
def test_a_run_that_was_stopped_between_two_cuts_gives_the_same_bits(folder, tmp_path, when):
    whole = prune(folder, when=when, epochs=4)

    def stop(progress):
        if progress.candidate is not None and progress.candidate.index == 0:
            raise Stopped

    with pytest.raises(Stopped):
        prune(folder, when=when, epochs=4, work_dir=tmp_path, on_progress=stop)
    resumed = prune(folder, when=when, epochs=4, work_dir=tmp_path)
    assert [c.model_bytes for c in resumed.candidates] == [c.model_bytes for c in whole.candidates]
    assert [c.entry.widths for c in resumed.candidates] == [
        c.entry.widths for c in whole.candidates
    ]


@pytest.mark.parametrize("when", ["post", "pre"])
def test_no_candidate_trains_longer_than_asked(when):
    schedule = plan_pruning(Training(epochs=10), Prune(when=when, candidates=3), 50)
    assert schedule.trunk_steps + schedule.cooling_steps == 500
    assert schedule.trunk_share(schedule.trunk_steps - 1) < 1e-3


@pytest.mark.parametrize("when", ["gradual", "post"])
def test_convolutions_of_candidates_have_whole_blocks_of_channels(folder, when):
    """Of as many as this machine likes, or of half and a quarter of them where the net is too narrow for these."""
    report = prune(folder, "convolutional", when=when, epochs=1).report.data
    convolutions = {
        width.layer: width.before
        for width in report.candidates[0].widths
        if "Conv" in width.layer or "conv" in width.layer
    }
    assert convolutions
    for candidate in report.candidates:
        for width in candidate.widths:
            if width.layer in convolutions and width.after != width.before:
                assert width.after % 4 == 0
    round_to = report.recipe["prune"]["round_to"]
    assert round_to["convolution"] in {1, *BLOCKS}
    assert "onnxruntime" in round_to["measured_on"]
