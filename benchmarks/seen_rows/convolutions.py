"""Convolutional nets that know their rows by heart: signs of it, and a job on these rows beside the truth."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import torch
from torch import nn

import spectral_engine as se
from benchmarks.quality.nets import Block
from benchmarks.seen_rows.drops import job
from benchmarks.seen_rows.nets import MOST_REST, Case, labelled_rows
from benchmarks.seen_rows.signs import accuracy, look

# Net and batch norm, data: an hour of one thread gets through about one seed, so that all kinds come early.
KINDS = (
    ("vgg", "folded", "fashion_mnist"),
    ("resnet-20", "kept", "fashion_mnist"),
    ("vgg", "kept", "mnist"),
    ("resnet-20", "folded", "mnist"),
    ("vgg", "kept", "fashion_mnist"),
    ("resnet-20", "folded", "fashion_mnist"),
    ("vgg", "folded", "mnist"),
    ("resnet-20", "kept", "mnist"),
)
ROWS, FEW = 2000, 400  # handed over: all that a net learned from, or a fifth of it, in each fifth
EPOCHS, RATE, BATCH = 20, 4e-3, 64  # of the original
FLOOR, MACS, JOB_EPOCHS, CANDIDATES = 0.01, 0.5, 15, 4
WIDTHS = (8, 16, 32)


def settings(seeds: int) -> Iterator[dict[str, Any]]:
    """Yield every net with its data."""
    for seed in range(seeds):
        for style, norm, data in KINDS:
            yield {
                "part": "convolutions", "data": data, "rows": ROWS, "times": 1, "style": style,
                "norm": norm, "seed": seed,
            }  # fmt: skip


def measure(setting: dict[str, Any]) -> dict[str, Any]:
    """Train a net, look for signs on rows seen and unseen, and run one job on the rows that it saw."""
    seed = setting["seed"]
    made = _case(setting["data"], setting["style"], setting["norm"], seed)
    measured = {
        "accuracy_own": accuracy(made.model, *made.seen),
        "signs": _signs(made, seed),
    }
    return setting | measured | job(made, _recipe(seed))


def _signs(made: Case, seed: int) -> list[dict[str, Any]]:
    fifths = [slice(start, start + FEW) for start in range(0, ROWS, FEW)]
    return [_look(made, part, seed) for part in (slice(ROWS), *fifths)]


def _look(made: Case, part: slice, seed: int) -> dict[str, Any]:
    both = {"seen": made.seen, "unseen": made.unseen}
    looks = {name: look(made.model, (x[part], y[part]), seed) for name, (x, y) in both.items()}
    return {"rows": len(made.seen[1][part]), **looks}


def _recipe(seed: int) -> se.Recipe:
    return se.Recipe(
        target={"max_metric_drop": FLOOR, "max_macs": MACS},
        training={"epochs": JOB_EPOCHS},
        prune={"candidates": CANDIDATES},
        seen_by_original=True,
        seed=seed,
    )


def _case(data: str, style: str, norm: str, seed: int) -> Case:
    flat, y = labelled_rows(data)
    x = (flat / np.float32(255)).reshape(-1, 1, 28, 28)
    order = np.random.default_rng([seed, ROWS]).permutation(len(y))
    parts = np.split(order, [ROWS, 2 * ROWS, 2 * ROWS + MOST_REST])[:3]
    torch.manual_seed(seed)
    net = NETS[style]()
    _learn_by_heart(net, x[parts[0]], y[parts[0]])
    return Case(as_onnx(net, norm), *((x[part], y[part]) for part in parts))


def _resnet() -> nn.Sequential:
    """Return a ResNet-20 (He et al. 2016) of half width and a stem of stride 2, on [n, 1, 28, 28]."""
    layers = [*_convolution(1, WIDTHS[0], stride=2)]
    inputs = WIDTHS[0]
    for width in WIDTHS:
        for _ in range(3):
            layers.append(Block(inputs, width, 1 if inputs == width else 2))
            inputs = width
    return nn.Sequential(*layers, *_head())


def _vgg() -> nn.Sequential:
    """Return five 3×3 convolutions between two poolings, on [n, 1, 28, 28]."""
    first, second, third = WIDTHS
    return nn.Sequential(
        *_convolution(1, first), nn.MaxPool2d(2),
        *_convolution(first, second), *_convolution(second, second), nn.MaxPool2d(2),
        *_convolution(second, third), *_convolution(third, third), *_head(),
    )  # fmt: skip


NETS = {"resnet-20": _resnet, "vgg": _vgg}


def _convolution(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    ]  # fmt: skip


def _head() -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], 10)]


def _learn_by_heart(net: nn.Module, x: np.ndarray, y: np.ndarray) -> None:
    rows, labels = torch.from_numpy(x), torch.from_numpy(y)
    steps = EPOCHS * -(-len(y) // BATCH)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(y)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(rows[chosen]), labels[chosen]).backward()
            optimizer.step()
            rate.step()
    net.eval()


def as_onnx(net: nn.Module, norm: str) -> bytes:
    """Write ONNX with a free batch size; the exporter folds batch norm into weights unless told to keep all."""
    file = BytesIO()
    mode = torch.onnx.TrainingMode.PRESERVE if norm == "kept" else torch.onnx.TrainingMode.EVAL
    torch.onnx.export(
        net,
        (torch.zeros(2, 1, 28, 28),),
        file,
        training=mode,
        input_names=["x"],
        output_names=["logits"],
        dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}},
        dynamo=False,
    )
    return file.getvalue()
