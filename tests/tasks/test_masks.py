"""A U-Net through the whole job, judged by mIoU and Dice over all held-out pixels."""

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score

import spectral_engine as se
from spectral_engine.errors import DatasetMismatch
from tests.support.task_nets import export, shapes, unet

QUICK = {
    "training": {"epochs": 2, "batch_size": 16},
    "prune": {"candidates": 1},
    "target": {"max_macs": 0.7},
}
X, MASKS = shapes(200, 2)
PARTS = {"train": slice(0, 100), "val": slice(100, 150), "test": slice(150, 200)}


def save(path, masks):
    arrays = {f"x_{part}": X[rows] for part, rows in PARTS.items()}
    np.savez(path, **arrays, **{f"y_{part}": masks[rows] for part, rows in PARTS.items()})
    return path


def written(folder, classes):
    return export(unet(classes), (torch.zeros(2, 1, 16, 16),), folder / "unet.onnx", ["x"])


def answers(model):
    return onnxruntime.InferenceSession(str(model)).run(None, {"x": X[PARTS["test"]]})[0]


def test_a_unet_goes_through_the_job_and_is_judged_as_by_sklearn(tmp_path):
    model = written(tmp_path, 3)
    result = se.compress(model, save(tmp_path / "d.npz", MASKS), QUICK | {"metric": "miou"})
    before = result.report.data.baseline.metric
    truth = MASKS[PARTS["test"]].ravel()
    outside = jaccard_score(truth, answers(model).argmax(1).ravel(), average="macro")
    assert (before.name, before.value) == ("miou", pytest.approx(outside, abs=1e-6))
    assert before.interval.low < before.value < before.interval.high
    (tmp_path / "after.onnx").write_bytes(result.chosen.model_bytes)
    after = result.chosen.entry.measurement.metric.value
    narrow = answers(tmp_path / "after.onnx").argmax(1).ravel()
    assert after == pytest.approx(jaccard_score(truth, narrow, average="macro"), abs=1e-6)
    assert result.outcome == "target_met"


def test_dice_is_that_of_sklearn(tmp_path):
    model = written(tmp_path, 3)
    data = save(tmp_path / "d.npz", MASKS)
    checked = se.check(model, data, {"metric": "dice"})
    (answer,) = onnxruntime.InferenceSession(str(model)).run(None, {"x": X[PARTS["val"]]})
    truth = MASKS[PARTS["val"]].ravel()
    outside = f1_score(truth, answer.argmax(1).ravel(), average="macro")
    assert checked.original.value == pytest.approx(outside, abs=1e-6)


def test_dice_of_a_yes_or_no_mask_is_that_of_yes(tmp_path):
    model = written(tmp_path, 1)
    masks = np.where(MASKS > 0, 255, 0).astype(np.uint8)
    checked = se.check(model, save(tmp_path / "d.npz", masks), {"metric": "dice"})
    (answer,) = onnxruntime.InferenceSession(str(model)).run(None, {"x": X[PARTS["val"]]})
    truth = (MASKS[PARTS["val"]] > 0).ravel()
    assert checked.original.value == pytest.approx(f1_score(truth, answer.ravel() > 0), abs=1e-6)


def test_masks_of_other_images_are_refused(tmp_path):
    with pytest.raises(DatasetMismatch, match="no better than chance"):
        se.compress(
            written(tmp_path, 3), save(tmp_path / "d.npz", np.roll(MASKS, 5, axis=0)), QUICK
        )
