"""The explained models: perceptrons trained by torch, exported to ONNX, imported by the engine."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.digits import export
from benchmarks.quality import data as data_sets
from benchmarks.quality.nets import perceptron
from spectral_engine.data import Split
from spectral_engine.graph.head import Head
from spectral_engine.graph.loading import load
from spectral_engine.graph.module import OnnxModule
from spectral_engine.measure.metrics import metric_rule
from spectral_engine.records.labels import Task
from spectral_engine.training.objective import Objective

HIDDEN = (64, 64)
TRAIN_ROWS, EXPLAINED_ROWS = 6000, 1024
STEPS, BATCH, PEAK_RATE = 1200, 128, 3e-3
HEAD = Head("logits", "logits", None)


@dataclass(frozen=True)
class Case:
    """One trained model and its rows; relevance may read `train` and `validation`, curves read what they are given."""

    data: data_sets.Data
    module: OnnxModule
    seed: int

    @property
    def features(self) -> int:
        return self.data.train[0].shape[1]

    @property
    def means(self) -> Tensor:
        """What stands for a feature that is taken away [features]."""
        return torch.from_numpy(self.data.train[0].mean(axis=0))

    @property
    def task(self) -> Task:
        return "regression" if self.data.regression else "classification"

    @property
    def objective(self) -> Objective:
        """Return the loss on labels alone."""
        spread = float(self.data.train[1].var()) if self.data.regression else 1.0
        return Objective(self.task, HEAD, 0.0, 1.0, spread)

    def explained(self) -> Split:
        """Return the training rows that relevance is computed from."""
        x, y = self.data.train
        return Split({"x": x[:EXPLAINED_ROWS]}, y[:EXPLAINED_ROWS])

    def answers(self, x: Tensor) -> Tensor:
        """Return the model's answers [rows, outputs]."""
        return self.module.compute({"x": x})["logits"]

    def metric(self, answers: np.ndarray, labels: np.ndarray) -> float:
        """Return accuracy, or R² of a regression."""
        rule = metric_rule("r2" if self.data.regression else "accuracy")
        return rule.value(
            rule.rows(answers, labels, "values" if self.data.regression else "logits")
        )


def prepare(name: str, seed: int) -> Case:
    """Train, export and import one model."""
    torch.manual_seed(seed)
    data = data_sets.load(name, TRAIN_ROWS, seed)
    widths = (data.train[0].shape[1], *HIDDEN, data.outputs)
    net = _train(perceptron(widths), data, seed)
    file = BytesIO()
    export(net, torch.zeros(1, widths[0]), file)
    return Case(data, load(file.getvalue()).requires_grad_(False), seed)


def _train(net: nn.Module, data: data_sets.Data, seed: int) -> nn.Module:
    x, y = (torch.from_numpy(part) for part in data.train)
    loss_of = nn.functional.mse_loss if data.regression else nn.functional.cross_entropy
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        rows = torch.randint(len(y), (BATCH,), generator=generator)
        optimizer.zero_grad()
        loss_of(net(x[rows]), y[rows]).backward()
        optimizer.step()
        rate.step()
    return net.eval()
