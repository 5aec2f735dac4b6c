"""Nets trained on some rows of a data set in several ways, with those rows, as many unseen ones, and all the rest."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from sklearn import datasets
from torch import nn

from benchmarks.digits import export
from benchmarks.quality.data import IMAGES, read

BUNDLED = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
}
MOST_REST = 10_000


@dataclass(frozen=True)
class Style:
    """How a net is trained: epochs, peak rate, weight decay, dropout, label smoothing, hidden widths."""

    epochs: int
    rate: float = 3e-3
    decay: float = 0.0
    dropout: float = 0.0
    smoothing: float = 0.0
    hidden: int = 128


STYLES = {
    "by heart": Style(60),
    "small": Style(60, hidden=32),
    "decayed": Style(40, decay=1.0),
    "dropout": Style(60, decay=1e-2, dropout=0.5),
    "smoothed": Style(40, decay=1e-2, smoothing=0.1),
    "short": Style(8, rate=1e-3),
}


@dataclass(frozen=True)
class Case:
    """A net as ONNX, and rows: those that it saw, as many that it did not, and the rest, which tell the truth."""

    model: bytes
    seen: tuple[np.ndarray, np.ndarray]
    unseen: tuple[np.ndarray, np.ndarray]
    rest: tuple[np.ndarray, np.ndarray]


def case(data: str, style: Style, rows: int, times: int, seed: int) -> Case | None:
    """Train a net on `times` as many rows as are handed over; None where the data set is too small for that."""
    x, y = labelled_rows(data)
    if (times + 1) * rows + 100 > len(y):
        return None
    order = np.random.default_rng([seed, rows]).permutation(len(y))
    trained_on, others, rest = np.split(order, [times * rows, (times + 1) * rows])
    scale = _scaler(data, x[trained_on])
    x = scale(x)
    net = _train(x[trained_on], y[trained_on], style, int(y.max()) + 1, seed)
    file = BytesIO()
    export(net, torch.zeros(2, x.shape[1]), file)
    parts = (trained_on[:rows], others, rest[:MOST_REST])
    return Case(file.getvalue(), *((x[part], y[part]) for part in parts))


def labelled_rows(data: str) -> tuple[np.ndarray, np.ndarray]:
    """Return all rows of a data set, inputs flat [rows, columns] and unscaled, and their classes."""
    if data in BUNDLED:
        bunch = BUNDLED[data]()
        return bunch.data.astype(np.float32), bunch.target.astype(np.int64)
    x_train, y_train, x_test, y_test = read(data)
    x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    return x.reshape(len(y), -1).astype(np.float32), y.astype(np.int64)


def _scaler(data: str, rows: np.ndarray):
    if data in IMAGES:
        return lambda x: x / np.float32(255)
    mean, deviation = rows.mean(0), rows.std(0) + 1e-6
    return lambda x: ((x - mean) / deviation).clip(-8, 8).astype(np.float32)


def _train(x: np.ndarray, y: np.ndarray, style: Style, classes: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    width = style.hidden
    net = nn.Sequential(
        nn.Linear(x.shape[1], width), nn.ReLU(), nn.Dropout(style.dropout),
        nn.Linear(width, width), nn.ReLU(), nn.Dropout(style.dropout),
        nn.Linear(width, classes),
    )  # fmt: skip
    rows, labels, batch = torch.from_numpy(x), torch.from_numpy(y), 64
    steps = style.epochs * -(-len(y) // batch)
    optimizer = torch.optim.AdamW(net.parameters(), style.rate, weight_decay=style.decay)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(style.epochs):
        for chosen in torch.randperm(len(y)).split(batch):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(
                net(rows[chosen]), labels[chosen], label_smoothing=style.smoothing
            )
            loss.backward()
            optimizer.step()
            falling.step()
    return net.eval()
