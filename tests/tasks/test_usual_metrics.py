"""Top-5, log-loss, MAPE and the quantile loss through the whole job, beside scikit-learn's."""

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import (
    log_loss,
    mean_absolute_percentage_error,
    mean_pinball_loss,
    top_k_accuracy_score,
)
from torch import nn

import spectral_engine as se
from spectral_engine.errors import InvalidRequest
from tests.support.task_nets import export, fit

ROWS, FEATURES, CLASSES = 1000, 10, 12
RANDOM = np.random.default_rng(4)
X = RANDOM.normal(size=(ROWS, FEATURES)).astype(np.float32)
KINDS = (X @ RANDOM.normal(size=(FEATURES, CLASSES)) + RANDOM.gumbel(size=(ROWS, CLASSES))).argmax(
    1
)
NUMBERS = (20 + 3 * X[:, 0] + X[:, 1] * X[:, 2] + RANDOM.exponential(2, ROWS)).astype(np.float32)
PARTS = {"train": slice(0, 600), "val": slice(600, 800), "test": slice(800, 1000)}
HIGH = 0.9


def pinball(answers, wanted):
    off = wanted - answers
    return torch.maximum(HIGH * off, (HIGH - 1) * off).mean()


LOSSES = {"classes": F.cross_entropy, "numbers": F.mse_loss, "quantile": pinball}


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    """An ONNX file for classes, for numbers, and for the upper quantile of these."""
    folder, paths = tmp_path_factory.mktemp("nets"), {}
    x = torch.from_numpy(X[PARTS["train"]])
    for kind, loss in LOSSES.items():
        torch.manual_seed(0)
        outputs = CLASSES if kind == "classes" else 1
        net = nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Linear(32, outputs))
        y = torch.from_numpy(KINDS if kind == "classes" else NUMBERS[:, None])[PARTS["train"]]
        with torch.no_grad():
            net[-1].bias += 0 if kind == "classes" else 20
        fit(net, lambda rows, net=net, y=y, loss=loss: loss(net(x[rows]), y[rows]), 200, 600)
        paths[kind] = export(net, (x[:2],), folder / f"{kind}.onnx", ["x"])
    return paths


def top5(truth, answers):
    return top_k_accuracy_score(truth, answers, k=5, labels=range(CLASSES))


def nats(truth, answers):
    return log_loss(truth, torch.from_numpy(answers).softmax(1).numpy(), labels=range(CLASSES))


def percentage(truth, answers):
    return mean_absolute_percentage_error(truth, answers[:, 0])


def upper(truth, answers):
    return mean_pinball_loss(truth, answers[:, 0], alpha=HIGH)


CASES = {
    "top5": ("classes", KINDS, top5),
    "log_loss": ("classes", KINDS, nats),
    "mape": ("numbers", NUMBERS, percentage),
    "quantile_loss": ("quantile", NUMBERS, upper),
}


def save(path, labels):
    arrays = {f"x_{part}": X[rows] for part, rows in PARTS.items()}
    np.savez(path, **arrays, **{f"y_{part}": labels[rows] for part, rows in PARTS.items()})
    return path


def answers(model):
    return onnxruntime.InferenceSession(str(model)).run(None, {"x": X[PARTS["test"]]})[0]


@pytest.mark.parametrize("metric", CASES)
def test_a_metric_goes_through_the_job_and_is_that_of_sklearn(metric, nets, tmp_path):
    kind, labels, judge = CASES[metric]
    recipe = {
        "metric": metric,
        "quantile": HIGH,
        "training": {"epochs": 4},
        "prune": {"candidates": 1},
        "target": {"max_metric_drop": 2.0 if kind != "classes" else 0.5, "confidence": 0.8},
    }
    result = se.compress(nets[kind], save(tmp_path / "d.npz", labels), recipe)
    before, truth = result.report.data.baseline.metric, labels[PARTS["test"]]
    assert before.value == pytest.approx(judge(truth, answers(nets[kind])), abs=1e-4)
    assert before.interval.low < before.value < before.interval.high
    (tmp_path / "after.onnx").write_bytes(result.chosen.model_bytes)
    entry = result.chosen.entry
    outside = judge(truth, answers(tmp_path / "after.onnx"))
    assert entry.measurement.metric.value == pytest.approx(outside, abs=1e-4)
    worse = before.value - outside if metric == "top5" else outside - before.value
    assert entry.drop.value == pytest.approx(worse, abs=1e-4)
    assert result.outcome != "target_met" or entry.meets_target
    if kind == "quantile":  # trained towards the mean, about a half of the targets would be below
        assert 0.75 < (truth <= answers(tmp_path / "after.onnx")[:, 0]).mean() < 0.99


def test_a_target_of_zero_has_no_percentage(nets, tmp_path):
    numbers = NUMBERS.copy()
    numbers[650] = 0
    with pytest.raises(InvalidRequest, match="1 of 200 targets are 0") as error:
        se.compress(nets["numbers"], save(tmp_path / "d.npz", numbers), {"metric": "mape"})
    assert error.value.pointer == "#/recipe/metric"
