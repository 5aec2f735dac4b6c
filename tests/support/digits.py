"""Small real models: 8×8 digits of scikit-learn, and nets trained on them in a second."""

import functools
import io
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn


@functools.cache
def splits(seed: int = 0) -> dict[str, np.ndarray]:
    """Shuffled digits, pixels in 0..1: 1,100 rows to train on, 297 to choose by, 400 held out."""
    bunch = load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.target))
    x = (bunch.data[order] / 16).astype(np.float32)
    y = bunch.target[order].astype(np.int64)
    parts = {}
    for name, start, end in (("train", 0, 1100), ("val", 1100, 1397), ("test", 1397, 1797)):
        parts[f"x_{name}"], parts[f"y_{name}"] = x[start:end], y[start:end]
    return parts


def save_digits(path: Path, **changes: np.ndarray | None) -> Path:
    """Write the digits as .npz; a change replaces an array, None leaves it out."""
    arrays = {name: value for name, value in (splits() | changes).items() if value is not None}
    np.savez(path, **arrays)
    return path


def perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 10)
    )


class ConvolutionalNet(nn.Module):
    """Residual, with a normalisation that stays in the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 12, 3, padding=1)
        self.first = nn.Conv2d(12, 12, 3, padding=1)
        self.norm = nn.BatchNorm2d(12)
        self.second = nn.Conv2d(12, 16, 3, padding=1, stride=2)
        self.head = nn.Linear(16 * 16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x.reshape(-1, 1, 8, 8)))
        x = x + self.norm(torch.relu(self.first(x)))
        return self.head(torch.relu(self.second(x)).flatten(1))


NETS = {"perceptron": perceptron, "convolutional": ConvolutionalNet}


def train(net: nn.Module, epochs: int = 12) -> nn.Module:
    data = splits()
    x, y = torch.from_numpy(data["x_train"]), torch.from_numpy(data["y_train"])
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(y), generator=generator).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
    return net.eval()


@functools.cache
def trained(kind: str = "perceptron") -> bytes:
    """A trained net as ONNX, input `x`, output `logits`, free batch size."""
    torch.manual_seed(0)
    net = train(NETS[kind]())
    file = io.BytesIO()
    torch.onnx.export(
        net,
        (torch.zeros(2, 64),),
        file,
        input_names=["x"],
        output_names=["logits"],
        dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}},
        dynamo=False,
    )
    return file.getvalue()


def save_model(path: Path, kind: str = "perceptron") -> Path:
    path.write_bytes(trained(kind))
    return path


def save_all(folder: Path) -> Path:
    """Leave `digits.npz` and every trained net as `<kind>.onnx` in a folder."""
    save_digits(folder / "digits.npz")
    for kind in NETS:
        save_model(folder / f"{kind}.onnx", kind)
    return folder
