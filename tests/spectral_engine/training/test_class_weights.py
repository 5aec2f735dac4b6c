"""Rare classes weigh more where the metric counts classes alike."""

import numpy as np
import pytest
import torch
from torch import nn

import spectral_engine as se
from spectral_engine.training.objective import balanced_weights


def test_every_class_weighs_the_same_and_the_mean_row_weighs_one():
    labels = np.repeat([0, 1, 3], [70, 20, 10])
    weights = balanced_weights(labels, 4)
    sums = [weights[k] * (labels == k).sum() for k in (0, 1, 3)]
    assert sums == pytest.approx([sums[0]] * 3)
    assert np.mean([weights[k] for k in labels]) == pytest.approx(1.0)
    assert weights[2] == 1.0


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """Two overlapping clouds, nine rows of the one for each of the other, and a model that knows nothing."""
    folder = tmp_path_factory.mktemp("rare")
    rng = np.random.default_rng(0)
    y = (rng.random(3000) < 0.1).astype(np.int64)
    x = (rng.normal(size=(3000, 6)) + y[:, None] * 0.8).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=y)
    for outputs in (1, 2):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, outputs))
        torch.onnx.export(
            net, (torch.zeros(1, 6),), str(folder / f"{outputs}.onnx"), input_names=["x"],
            dynamo=False, dynamic_axes={"x": {0: "batch"}},
        )  # fmt: skip
    return folder


def recall_of_the_rare(rare, outputs, **asked) -> float:
    training = {"epochs": 8, "distill": 0.0, "class_weights": asked.pop("weights", "auto")}
    recipe = {
        "method": "retrain",
        "training": training,
        "target": {"max_metric_drop": 0.99},
        "allow_poor_original": True,
        **asked,
    }
    result = se.compress(rare / f"{outputs}.onnx", rare / "data.npz", recipe)
    return result.chosen.entry.measurement.metric.per_class["1"]


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_rare_class_is_found_more_often(rare, outputs):
    plain = recall_of_the_rare(rare, outputs)
    assert recall_of_the_rare(rare, outputs, weights="balanced") > plain + 0.1
    assert recall_of_the_rare(rare, outputs, metric="balanced_accuracy") > plain + 0.1
    assert recall_of_the_rare(rare, outputs, metric="balanced_accuracy", weights="none") == plain
