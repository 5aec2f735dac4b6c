"""How much noise a model can bear, asked of the model."""

import numpy as np
import pytest
import torch
from torch import nn

import spectral_engine as se
from spectral_engine.data import Split, Splits
from spectral_engine.meaning.layout import Layout
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.training.swap_noise import calibrate_swap_noise

COPIES = 40
CLASSES = Meaning("classification", "answers", Layout("classes", (2,), 1))
NUMBERS = Meaning("regression", "answers", Layout("numbers", (1,)))


def export(folder, weights: np.ndarray):
    """A model whose logits are 0 and the weighted sum of its inputs."""
    net = nn.Linear(len(weights), 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor(np.stack([0 * weights, weights]), dtype=torch.float32))
        net.bias.zero_()
    path = folder / f"{len(weights)}.onnx"
    torch.onnx.export(
        net, (torch.zeros(1, len(weights)),), str(path), input_names=["x"], output_names=["answers"],
        dynamo=False,
        dynamic_axes={"x": {0: "batch"}},
    )  # fmt: skip
    return path


def splits(inputs: np.ndarray, labels: np.ndarray | None) -> Splits:
    half = len(inputs) // 2
    parts = [slice(0, half), slice(half, None)]
    train, rest = (Split({"x": inputs[p]}, None if labels is None else labels[p]) for p in parts)
    return Splits(train, rest, rest, summary=None)


@pytest.fixture(scope="module")
def told():
    """A sign, told once or in 40 noisy copies; a twentieth of the labels is wrong."""
    random = np.random.default_rng(0)
    sign = random.normal(size=2000)
    labels = ((sign > 0) ^ (random.random(2000) < 0.05)).astype(np.int64)
    once = sign[:, None].astype(np.float32)
    often = (sign[:, None] + 0.3 * random.normal(size=(2000, COPIES))).astype(np.float32)
    return once, often, labels


def test_inputs_that_repeat_each_other_bear_more_than_one_that_stands_alone(tmp_path, told):
    once, often, labels = told
    alone = calibrate_swap_noise(
        OpenedModel(export(tmp_path, np.ones(1))), CLASSES, splits(once, labels), 0
    )
    among = calibrate_swap_noise(
        OpenedModel(export(tmp_path, np.ones(COPIES))), CLASSES, splits(often, labels), 0
    )
    assert 0 < alone < 0.03  # half of what is swapped turns the answer: 0.2 · 5 % of wrong answers
    assert among > 2 * alone


def test_the_share_found_keeps_changed_answers_within_a_fifth_of_the_wrong_ones(tmp_path, told):
    once, _, labels = told
    share = calibrate_swap_noise(
        OpenedModel(export(tmp_path, np.ones(1))), CLASSES, splits(once, labels), 0
    )
    random = np.random.default_rng(5)
    swapped = random.random(len(once)) < share
    other = once[random.integers(len(once), size=len(once)), 0]
    changed = np.where(swapped, other, once[:, 0]) > 0
    wrong = float(((once[:, 0] > 0) != labels).mean())
    assert (changed != (once[:, 0] > 0)).mean() <= 0.3 * wrong  # drawn anew, so with a margin


def test_without_labels_or_without_errors_there_is_no_noise(tmp_path, told):
    once = told[0]
    model = export(tmp_path, np.ones(1))
    assert calibrate_swap_noise(OpenedModel(model), CLASSES, splits(once, None), 0) == 0
    perfect = (once[:, 0] > 0).astype(np.int64)
    assert calibrate_swap_noise(OpenedModel(model), CLASSES, splits(once, perfect), 0) == 0


def test_a_regression_is_measured_by_squares(tmp_path, told):
    _, often, _ = told
    random = np.random.default_rng(1)
    target = (often.sum(1, keepdims=True) + 8 * random.normal(size=(2000, 1))).astype(np.float32)
    net = nn.Linear(COPIES, 1)
    with torch.no_grad():
        net.weight.fill_(1.0)
        net.bias.zero_()
    torch.onnx.export(
        net, (torch.zeros(1, COPIES),), str(tmp_path / "r.onnx"), input_names=["x"], output_names=["answers"],
        dynamo=False,
        dynamic_axes={"x": {0: "batch"}},
    )  # fmt: skip
    assert (
        0
        < calibrate_swap_noise(OpenedModel(tmp_path / "r.onnx"), NUMBERS, splits(often, target), 0)
        < 0.2
    )


def test_the_report_says_what_share_was_found_and_what_was_asked_for_is_kept_to(tmp_path, told):
    _, often, labels = told
    np.savez(tmp_path / "data.npz", x=often, y=labels)
    model = export(tmp_path, np.ones(COPIES))
    recipe = {"method": "retrain", "training": {"epochs": 1}, "target": {"max_metric_drop": 0.99}}
    executed = se.compress(model, tmp_path / "data.npz", recipe).report.data.recipe["training"]
    assert executed["swap_noise"] > 0
    recipe["training"]["swap_noise"] = 0.125
    asked = se.compress(model, tmp_path / "data.npz", recipe).report.data.recipe["training"]
    assert asked["swap_noise"] == 0.125
