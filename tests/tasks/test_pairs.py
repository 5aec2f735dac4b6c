"""A sentence encoder through the whole job: pairs with a similarity judge it, and the original teaches it."""

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.stats import spearmanr

import spectral_engine as se
from spectral_engine.errors import DatasetMismatch, InvalidRequest
from tests.support.task_nets import LENGTH, encoder, export, sentences

QUICK = {"training": {"epochs": 6}, "prune": {"candidates": 1}, "target": {"max_params": 0.9}}
INPUTS, SCORES = sentences(700, 2)
PARTS = {"train": slice(0, 420), "val": slice(420, 540), "test": slice(540, 700)}


def written(net, folder):
    some = torch.ones(2, LENGTH, dtype=torch.int64)
    return export(net, (some, some.clone()), folder / "encoder.onnx", ["ids", "mask"])


def save(path, scores=SCORES, inputs=INPUTS):
    arrays = {
        f"{name}_{part}": a[rows] for name, a in inputs.items() for part, rows in PARTS.items()
    }
    np.savez(path, **arrays, **{f"y_{part}": scores[rows] for part, rows in PARTS.items()})
    return path


def outside(model, rows):
    session = onnxruntime.InferenceSession(str(model))
    left, right = (
        session.run(None, {n: INPUTS[f"{n}_{side}"][rows] for n in ("ids", "mask")})[0]
        for side in "ab"
    )
    cosines = (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
    return spearmanr(cosines, SCORES[rows]).statistic


def test_an_encoder_goes_through_the_job_and_is_judged_as_by_scipy(tmp_path):
    model = written(encoder(), tmp_path)
    result = se.compress(model, save(tmp_path / "d.npz"), QUICK)
    report = result.report.data
    before, after = report.baseline.metric, result.chosen.entry.measurement.metric
    assert (report.task, before.name) == ("similarity", "spearman")
    assert "pairs" in report.data.meaning.reading
    assert before.rows == 160
    assert before.value == pytest.approx(outside(model, PARTS["test"]), abs=1e-4)
    (tmp_path / "after.onnx").write_bytes(result.chosen.model_bytes)
    assert after.value == pytest.approx(outside(tmp_path / "after.onnx", PARTS["test"]), abs=1e-4)
    assert after.value > before.value - 0.15
    assert result.outcome == "target_met"


def test_pairs_in_one_array_are_the_same(tmp_path):
    model = written(encoder(), tmp_path)
    both = {n: np.stack([INPUTS[f"{n}_a"], INPUTS[f"{n}_b"]], 1) for n in ("ids", "mask")}
    apart = se.check(model, save(tmp_path / "a.npz"))
    together = se.check(model, save(tmp_path / "b.npz", inputs=both))
    assert together.original.value == apart.original.value
    assert together.original.rows == 120


def test_pairs_that_are_cut_here_stay_pairs(tmp_path):
    model = written(encoder(), tmp_path)
    np.savez(tmp_path / "d.npz", y=SCORES, **INPUTS)
    checked = se.check(model, tmp_path / "d.npz")
    assert checked.original.rows == 105
    assert checked.original.value > 0.5


def test_an_encoder_that_nobody_trained_and_wrong_scores_are_refused(tmp_path):
    model = written(encoder(), tmp_path)
    with pytest.raises(DatasetMismatch, match="no better than chance"):
        se.compress(model, save(tmp_path / "d.npz", np.roll(SCORES, 3)), QUICK)
    with pytest.raises(DatasetMismatch, match="no better than chance"):
        se.compress(model, save(tmp_path / "d.npz", -SCORES), QUICK)


def test_what_is_missing_or_does_not_fit_is_named(tmp_path):
    model = written(encoder(), tmp_path)
    single = {n: a for n, a in INPUTS.items() if n != "mask_b"}
    with pytest.raises(DatasetMismatch, match="no array 'mask_b_train' beside 'mask_a_train'"):
        se.compress(model, save(tmp_path / "d.npz", inputs=single), QUICK)
    short = INPUTS | {"ids_b": INPUTS["ids_b"][:, :5]}
    with pytest.raises(DatasetMismatch, match="pad both alike"):
        se.compress(model, save(tmp_path / "d.npz", inputs=short), QUICK)
    alone = {n: INPUTS[f"{n}_a"] for n in ("ids", "mask")}
    with pytest.raises(DatasetMismatch, match="pairs are arrays x_a and x_b"):
        se.compress(model, save(tmp_path / "d.npz", inputs=alone), {"metric": "spearman"})
    with pytest.raises(InvalidRequest, match="ask for spearman"):
        se.compress(model, save(tmp_path / "d.npz"), {"metric": "r2"})


def test_an_encoder_that_knows_nothing_goes_on_where_that_is_allowed(tmp_path):
    model = written(encoder(), tmp_path)
    checked = se.check(model, save(tmp_path / "d.npz", -SCORES), {"allow_poor_original": True})
    assert any("no better than chance" in note for note in checked.data.notes)
