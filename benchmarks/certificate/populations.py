"""Real candidates, and enough rows to know the true drop of each: models trained on few rows of a large set."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

import spectral_engine as se
from benchmarks.digits import export, perceptron
from benchmarks.quality.data import IMAGES, REGRESSION, read
from spectral_engine.data.split import Split
from spectral_engine.measure.bootstrap import Pair
from spectral_engine.measure.metrics import Rows, metric_rule
from spectral_engine.measure.runtime import Runner

CACHE = Path(os.environ.get("EIGENPRESS_BENCH_CACHE", Path(__file__).parent / ".cache"))
TRAIN_ROWS, VALIDATION_ROWS = 4000, 1000
HIDDEN = {"letter": 100, "mnist": 100, "adult": 60, "california_housing": 60}
EPOCHS, BATCH, RATE = 15, 128, 1e-3


@dataclass(frozen=True)
class Population:
    """Outputs of the baseline, then of each candidate from wide to narrow, for every row [models, rows, columns]."""

    name: str
    outputs: np.ndarray
    labels: np.ndarray
    nodes: np.ndarray

    def pair(self, candidate: int, metric: str) -> Pair:
        before, after = (self.rows(metric, index) for index in (0, candidate + 1))
        return Pair(metric_rule(metric), before, after)

    def rows(self, metric: str, model: int) -> Rows:
        """What the metric keeps of one model's outputs, the baseline's first."""
        form = "values" if self.name in REGRESSION else "logits"
        return metric_rule(metric).rows(self.outputs[model], self.labels, form)

    def right(self) -> np.ndarray:
        """Which answers are right [models, rows]."""
        models = range(len(self.outputs))
        return np.stack([self.rows("accuracy", model)["sum"] for model in models])


def population(name: str) -> Population:
    """Return the population of one data set, made once and kept."""
    path = CACHE / f"{name}.npz"
    if not path.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        np.savez(path, **_make(name))
    with np.load(path) as stored:
        return Population(name, stored["outputs"], stored["labels"], stored["nodes"])


def _make(name: str) -> dict[str, np.ndarray]:
    x, y, outputs = _rows(name)
    ends = [TRAIN_ROWS, TRAIN_ROWS + VALIDATION_ROWS]
    (x_train, x_val, x_rest), (y_train, y_val, y_rest) = np.split(x, ends), np.split(y, ends)
    model, data = CACHE / f"{name}.onnx", CACHE / f"{name}-data.npz"
    hidden = HIDDEN[name]
    net = _train(perceptron((x.shape[1], hidden, hidden, outputs)), x_train, y_train)
    export(net, torch.zeros(1, x.shape[1]), model)
    # The engine wants a held-out part; it gets validation rows, so that the population stays unseen.
    parts = {"x_train": x_train, "y_train": y_train, "x_val": x_val, "y_val": y_val}
    np.savez(data, **parts, x_test=x_val, y_test=y_val)
    result = se.compress(
        model, data, {"target": {"max_metric_drop": 0.01}, "training": {"epochs": 20}}
    )
    files = [model, *(candidate.model_bytes for candidate in result.candidates)]
    rest = Split({"x": x_rest}, None)
    widths = [candidate.entry.measurement.nodes for candidate in result.candidates]
    return {
        "outputs": np.stack([Runner(file).predict(rest) for file in files]),
        "labels": y_rest,
        "nodes": np.array([result.report.data.baseline.nodes, *widths]),
    }


def _rows(name: str) -> tuple[np.ndarray, np.ndarray, int]:
    x_train, y_train, x_test, y_test = read(name)
    x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    order = np.random.default_rng(0).permutation(len(y))
    x, y = x[order].reshape(len(y), -1).astype(np.float32), y[order]
    seen = x[:TRAIN_ROWS]
    mean, deviation = (0, 255) if name in IMAGES else (seen.mean(0), seen.std(0) + 1e-6)
    x = ((x - mean) / deviation).clip(-8, 8).astype(np.float32)
    if name in REGRESSION:
        return x, y.astype(np.float32)[:, None], 1
    return x, y.astype(np.int64), int(y.max()) + 1


def _train(net: nn.Module, x: np.ndarray, y: np.ndarray) -> nn.Module:
    torch.manual_seed(0)
    data, labels = torch.from_numpy(x), torch.from_numpy(y)
    loss = nn.functional.mse_loss if labels.is_floating_point() else nn.functional.cross_entropy
    optimizer = torch.optim.AdamW(net.parameters(), RATE)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(labels)).split(BATCH):
            optimizer.zero_grad()
            loss(net(data[rows]), labels[rows]).backward()
            optimizer.step()
    return net.eval()
