"""Nets of random weights at size, exported once into a cache, and rows for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

CACHE = Path(__file__).parent / ".cache"
CLASSES = 10
MLP_WIDTHS = {5: 512, 50: 2048, 150: 3072, 500: 4096}  # megabytes of the file: width
CONVOLUTION_WIDTHS = {5: 128, 50: 416, 150: 720, 500: 1312}
CONVOLUTIONS, PICTURE = 8, 16
WIDTH, HEADS, INNER, DEPTH = 768, 12, 3072, 12  # of BERT-base and of ViT-base
VOCABULARY, TOKENS = 8192, 64
PATCH, SIDE = 32, 224


@dataclass(frozen=True)
class Net:
    """How to build a net, and what one row of its input is."""

    build: Callable[[], nn.Module]
    row: Callable[[np.random.Generator, int], np.ndarray]

    def file(self, name: str) -> Path:
        """Return its ONNX file in the cache, exported where it was not before."""
        path = CACHE / f"{name}.onnx"
        CACHE.mkdir(exist_ok=True)
        return path if path.exists() else self.export(path)

    def export(self, path: Path) -> Path:
        """Write its ONNX file, whole or not at all."""
        torch.manual_seed(0)
        part = path.with_suffix(".part")
        torch.onnx.export(
            self.build().eval(),
            (torch.from_numpy(self.row(np.random.default_rng(0), 2)),),
            str(part),
            input_names=["x"],
            output_names=["logits"],
            dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}},
            dynamo=False,
        )
        part.replace(path)
        return path

    def data(self, path: Path, rows: int) -> Path:
        """Write so many random rows with random labels for each part of the data."""
        random, arrays = np.random.default_rng(1), {}
        for part in ("train", "val", "test"):
            arrays[f"x_{part}"] = self.row(random, rows)
            arrays[f"y_{part}"] = random.integers(0, CLASSES, rows)
        np.savez(path, **arrays)  # type: ignore[arg-type]  # names are the data set's
        return path


def _numbers(*shape: int) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda random, rows: random.standard_normal((rows, *shape), dtype=np.float32)


def _ids(random: np.random.Generator, rows: int) -> np.ndarray:
    return random.integers(0, VOCABULARY, (rows, TOKENS))


def perceptron(width: int, hidden: int, features: int = 784) -> nn.Module:
    """Return so many square layers between an input and an answer."""
    layers: list[nn.Module] = [nn.Linear(features, width), nn.ReLU()]
    for _ in range(hidden):
        layers += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, CLASSES))


def convolutional(width: int, depth: int) -> nn.Module:
    """Return convolutions of one width; the second one halves the picture."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 2, 1), nn.ReLU()]
    for position in range(depth):
        layers += [nn.Conv2d(width, width, 3, 2 if position == 0 else 1, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES))


class Block(nn.Module):
    """One layer of an encoder: attention, two dense layers, and what is added around them."""

    def __init__(self, width: int, heads: int, inner: int, *, norm_first: bool) -> None:
        super().__init__()
        self.heads, self.norm_first = heads, norm_first
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return [rows, places, width] of the same."""
        if self.norm_first:
            x = x + self.attend(self.norm1(x))
            return x + self.feed(self.norm2(x))
        x = self.norm1(x + self.attend(x))
        return self.norm2(x + self.feed(x))

    def attend(self, x: Tensor) -> Tensor:
        """Mix places by what their queries and keys have in common."""
        _, places, width = x.shape
        parts = [
            read(x).view(-1, places, self.heads, width // self.heads).transpose(1, 2)
            for read in (self.query, self.key, self.value)
        ]
        scores = parts[0] @ parts[1].transpose(2, 3) / (width // self.heads) ** 0.5
        mixed = scores.softmax(-1) @ parts[2]
        return self.out(mixed.transpose(1, 2).reshape(-1, places, width))

    def feed(self, x: Tensor) -> Tensor:
        """Go through the wide layer."""
        return self.down(nn.functional.gelu(self.up(x)))


class TextEncoder(nn.Module):
    """An encoder of the shape of BERT-base, with another vocabulary; token ids in, classes out."""

    def __init__(self, width: int = WIDTH, depth: int = DEPTH) -> None:
        super().__init__()
        heads = width * HEADS // WIDTH
        self.words, self.places = nn.Embedding(VOCABULARY, width), nn.Embedding(TOKENS, width)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.Sequential(
            *(Block(width, heads, 4 * width, norm_first=False) for _ in range(depth))
        )
        self.pool, self.head = nn.Linear(width, width), nn.Linear(width, CLASSES)

    def forward(self, ids: Tensor) -> Tensor:
        """Answer from the first place."""
        x = self.blocks(self.norm(self.words(ids) + self.places.weight))
        return self.head(self.pool(x[:, 0]).tanh())


class PictureEncoder(nn.Module):
    """An encoder of the shape of ViT-base over patches of 32 × 32; pictures in, classes out."""

    def __init__(self, width: int = WIDTH, depth: int = DEPTH) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        self.places = nn.Parameter(torch.randn(1, (SIDE // PATCH) ** 2, width) * 0.02)
        heads = width * HEADS // WIDTH
        self.blocks = nn.Sequential(
            *(Block(width, heads, 4 * width, norm_first=True) for _ in range(depth))
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Answer from the mean over all places."""
        x = self.patches(x).flatten(2).transpose(1, 2) + self.places
        return self.head(self.norm(self.blocks(x)).mean(1))


def _mlp(width: int) -> Net:
    return Net(
        lambda: perceptron(width, hidden=3 if width < 3000 else 4 if width < 4000 else 7),
        _numbers(784),
    )


NETS = {
    **{f"mlp-{size}": _mlp(width) for size, width in MLP_WIDTHS.items()},
    **{
        f"conv-{size}": Net(
            lambda width=width: convolutional(width, CONVOLUTIONS), _numbers(3, PICTURE, PICTURE)
        )
        for size, width in CONVOLUTION_WIDTHS.items()
    },
    "bert-base": Net(TextEncoder, _ids),
    "vit-base": Net(PictureEncoder, _numbers(3, SIDE, SIDE)),
    "bert-small": Net(lambda: TextEncoder(128, 2), _ids),
}
