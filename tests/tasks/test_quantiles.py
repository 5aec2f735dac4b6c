"""Several quantiles of one target through the whole job, beside scikit-learn's pinball loss."""

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.metrics import mean_pinball_loss
from torch import nn

import spectral_engine as se
from spectral_engine.errors import DatasetMismatch, InvalidRequest
from tests.support.task_nets import export, fit

ROWS, FEATURES, STEPS = 900, 8, 2
QUANTILES = (0.1, 0.5, 0.9)
RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(ROWS, FEATURES)).astype(np.float32)
NOISE = RANDOM.exponential(2, (ROWS, STEPS))
Y = (10 + np.stack([3 * X[:, 0] + X[:, 1], 2 * X[:, 2]], 1) + NOISE).astype(np.float32)
PARTS = {"train": slice(0, 550), "val": slice(550, 700), "test": slice(700, 900)}
RECIPE = {
    "metric": "quantile_loss",
    "quantile": list(QUANTILES),
    "training": {"epochs": 4},
    "prune": {"candidates": 1},
    "target": {"max_macs": 0.7},
}


class Forecast(nn.Module):
    """Answers [n, steps, quantiles], or [n, quantiles] for one step."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps
        self.net = nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Linear(32, steps * 3))

    def forward(self, x):
        quantiles = self.net(x) + 10
        return quantiles.view(-1, self.steps, 3) if self.steps > 1 else quantiles


@pytest.fixture(scope="module", params=[1, STEPS], ids=["[n, q]", "[n, steps, q]"])
def steps(request):
    return request.param


@pytest.fixture(scope="module")
def model(steps, tmp_path_factory):
    torch.manual_seed(0)
    net = Forecast(steps)
    x, y = torch.from_numpy(X[PARTS["train"]]), torch.from_numpy(targets(steps)[PARTS["train"]])

    def loss(rows):
        off = y[rows][..., None] - net(x[rows])
        return sum(
            torch.maximum(q * off[..., i], (q - 1) * off[..., i]).mean()
            for i, q in enumerate(QUANTILES)
        )

    fit(net, loss, 250, 550, rate=1e-2)
    path = tmp_path_factory.mktemp("nets") / "quantiles.onnx"
    return export(net, (x[:2],), path, ["x"])


def targets(steps):
    return Y[:, 0] if steps == 1 else Y


def save(path, labels):
    arrays = {f"x_{part}": X[rows] for part, rows in PARTS.items()}
    np.savez(path, **arrays, **{f"y_{part}": labels[rows] for part, rows in PARTS.items()})
    return path


def answers(model):
    """The held-out rows' answers [n · steps, quantiles]."""
    outputs = onnxruntime.InferenceSession(str(model)).run(None, {"x": X[PARTS["test"]]})[0]
    return outputs.reshape(-1, len(QUANTILES))


def outside(model, steps):
    truth = targets(steps)[PARTS["test"]].reshape(-1)
    columns = zip(answers(model).T, QUANTILES, strict=True)
    return np.mean([mean_pinball_loss(truth, column, alpha=q) for column, q in columns])


def test_each_column_aims_at_its_own_quantile_and_is_judged_as_by_sklearn(model, steps, tmp_path):
    result = se.compress(model, save(tmp_path / "d.npz", targets(steps)), RECIPE)
    before = result.report.data.baseline.metric
    assert before.name == "quantile_loss"
    assert before.value == pytest.approx(outside(model, steps), abs=1e-4)
    assert before.interval.low < before.value < before.interval.high
    (tmp_path / "after.onnx").write_bytes(result.chosen.model_bytes)
    after = result.chosen.entry.measurement.metric.value
    assert after == pytest.approx(outside(tmp_path / "after.onnx", steps), abs=1e-4)
    truth = targets(steps)[PARTS["test"]].reshape(-1, 1)
    below = (truth <= answers(tmp_path / "after.onnx")).mean(axis=0)
    # Had all columns one aim, their shares would be alike.
    np.testing.assert_allclose(below, QUANTILES, atol=0.12)


def test_training_by_labels_alone_teaches_every_column_its_quantile(model, steps, tmp_path):
    """From fresh weights, with no word of the original, nothing but the labels can tell the columns apart."""
    recipe = {
        **RECIPE,
        "method": "retrain",
        "spectral": {"init": "fresh"},
        "target": {},
        "training": {"epochs": 60, "distill": 0.0, "learning_rate": 1e-2, "batch_size": 64},
    }
    del recipe["prune"]
    result = se.compress(model, save(tmp_path / "d.npz", targets(steps)), recipe)
    (tmp_path / "after.onnx").write_bytes(result.chosen.model_bytes)
    truth = targets(steps)[PARTS["test"]].reshape(-1, 1)
    below = (truth <= answers(tmp_path / "after.onnx")).mean(axis=0)
    np.testing.assert_allclose(below, QUANTILES, atol=0.15)


def test_what_was_understood_is_said(model, steps, tmp_path):
    checked = se.check(model, save(tmp_path / "d.npz", targets(steps)), RECIPE)
    assert checked.meaning.reading == "targets of the quantiles 0.1, 0.5, 0.9, a column each"
    assert "of the quantile loss" in checked.meaning.original


@pytest.mark.parametrize("quantiles", [[0.1, 0.9], [0.1, 0.3, 0.5, 0.9]])
def test_quantiles_that_are_not_as_many_as_the_columns_are_refused(
    quantiles, model, steps, tmp_path
):
    data = save(tmp_path / "d.npz", targets(steps))
    with pytest.raises(InvalidRequest, match=f"quantile lists {len(quantiles)}") as error:
        se.check(model, data, {**RECIPE, "quantile": quantiles})
    assert error.value.pointer == "#/recipe/quantile"


def test_quantiles_in_another_order_are_named(model, steps, tmp_path):
    data = save(tmp_path / "d.npz", targets(steps))
    with pytest.raises(DatasetMismatch, match=r'"quantile": \[0\.1, 0\.5, 0\.9\]'):
        se.compress(model, data, {**RECIPE, "quantile": [0.9, 0.5, 0.1]})


@pytest.mark.parametrize("quantile", [[], [0.5, 1.0], [0.0], 1.5])
def test_what_is_no_quantile_is_refused_by_the_recipe(quantile):
    with pytest.raises(InvalidRequest, match="quantile"):
        se.compress("no.onnx", "no.npz", {"metric": "quantile_loss", "quantile": quantile})
