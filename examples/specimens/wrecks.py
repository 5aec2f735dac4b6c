"""Small nets that know their rows, of every kind of answer, and ways to wreck what a job makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn

from spectral_engine.methods import run as run_module

FEATURES, CLASSES = 8, 4
WRECKS = ("shuffled", "zeroed", "turned", "constant", "one answer lost", "noise", "first shuffled")
KINDS = (
    "classes",
    "one-hot",
    "names",
    "a rare class",
    "one logit",
    "multi-label",
    "numbers",
    "one number",
    "classes without labels",
    "numbers without labels",
    "maps without labels",
    "masks without labels",
    "embeddings without labels",
)
MIX = np.random.default_rng(3).normal(size=(FEATURES, CLASSES))
MAP = (3, 2, 2)  # channels, height, width
MANY = np.random.default_rng(4).normal(size=(FEATURES, 12))
RARE_ABOVE = 1.645 * float(np.linalg.norm(MIX[:, 0]))  # one row in twenty


@dataclass(frozen=True)
class Task:
    """Rows with what a net is trained towards, by which loss, and the labels that a job is given.

    `layout` is how a row's 12 numbers are laid out, `end` what stands behind a net that is trained without it.
    """

    x: np.ndarray
    target: np.ndarray
    loss: Callable[..., torch.Tensor]
    labels: np.ndarray | None
    layout: nn.Module | None = None
    end: nn.Module | None = None


class Normalised(nn.Module):
    """Gives every row the length 1, as encoders of sentences and images do."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return F.normalize(rows)


def draw(kind: str, rows: int, seed: int) -> Task:
    """Draw rows of a task."""
    x = np.random.default_rng(seed).normal(size=(rows, FEATURES)).astype(np.float32)
    scores = x @ MIX
    classes = scores.argmax(1)
    rare = (scores[:, 0] > RARE_ABOVE).astype(np.int64)
    numbers = scores.astype(np.float32)
    if kind in OF_MANY:
        return _of_many(kind, x)
    entropy, binary, squares = F.cross_entropy, F.binary_cross_entropy_with_logits, F.mse_loss
    tasks: dict[str, tuple[np.ndarray, Any, np.ndarray | None]] = {
        "classes": (classes, entropy, classes),
        "one-hot": (classes, entropy, np.eye(CLASSES, dtype=np.float32)[classes]),
        "names": (classes, entropy, np.array(["d", "a", "c", "b"])[classes]),
        "a rare class": (rare, entropy, rare),
        "one logit": (rare[:, None], binary, rare),
        "multi-label": (scores > 0, binary, scores > 0),
        "numbers": (numbers, squares, numbers),
        "one number": (numbers[:, :1], squares, numbers[:, 0]),
        "classes without labels": (classes, entropy, None),
        "numbers without labels": (numbers, squares, None),
    }
    target, loss, labels = tasks[kind]
    return Task(x, target, loss, labels)


OF_MANY = {"maps without labels", "masks without labels", "embeddings without labels"}


def _of_many(kind: str, x: np.ndarray) -> Task:
    """Draw tasks of twelve numbers a row."""
    scores = (x @ MANY).astype(np.float32)
    maps, layout = scores.reshape(-1, *MAP), nn.Unflatten(1, MAP)
    if kind == "maps without labels":
        return Task(x, maps.argmax(1), F.cross_entropy, None, layout, nn.Softmax(1))
    if kind == "masks without labels":
        loss = F.binary_cross_entropy_with_logits
        return Task(x, maps > 0, loss, None, layout, nn.Sigmoid())
    unit = scores / np.linalg.norm(scores, axis=1, keepdims=True)
    return Task(x, unit, F.mse_loss, None, None, Normalised())


def trained(task: Task, path: Path, hidden: int = 24, seed: int = 0) -> Path:
    """Train a perceptron with one hidden layer and export it."""
    torch.manual_seed(seed)
    outputs = 2 if task.loss is F.cross_entropy and task.target.max() == 1 else CLASSES
    if task.target.ndim == 2:
        outputs = task.target.shape[1]
    if task.layout is not None:
        outputs = MANY.shape[1]
    net = nn.Sequential(nn.Linear(FEATURES, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
    if task.layout is not None:
        net.append(task.layout)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    x, y = torch.from_numpy(task.x), torch.from_numpy(task.target)
    y = y if task.loss is F.cross_entropy else y.float()
    for _ in range(120):
        optimizer.zero_grad()
        task.loss(net(x), y).backward()
        optimizer.step()
    if task.end is not None:
        net.append(task.end)
    torch.onnx.export(
        net, (x[:2],), str(path), input_names=["x"], output_names=["answers"], dynamo=False,
        dynamic_axes={"x": {0: "n"}, "answers": {0: "n"}},
    )  # fmt: skip
    return path


def wreck(path: Path, how: str, seed: int = 1) -> None:
    """Spoil the weights of a written file."""
    model, rng = onnx.load(path), np.random.default_rng(seed)
    matrices = [node for node in model.graph.node if node.op_type in {"Gemm", "MatMul"}]
    initializers = {item.name: item for item in model.graph.initializer}
    weight = initializers[matrices[0 if how == "first shuffled" else -1].input[1]]
    values = numpy_helper.to_array(weight).copy()
    if how in {"shuffled", "first shuffled"}:
        values = rng.permutation(values.ravel()).reshape(values.shape)
    elif how in {"zeroed", "constant"}:
        values = values * 0
    elif how == "turned":
        values = -values
    elif how == "noise":
        values = values + rng.normal(size=values.shape).astype(values.dtype) * 3 * values.std()
    else:
        values[0] = values[0] - 10  # weights [outputs, hidden]: one output is never the highest
    weight.CopyFrom(numpy_helper.from_array(values.astype(np.float32), weight.name))
    if how == "constant":
        bias = initializers[matrices[-1].input[2]]
        spoiled = rng.normal(size=numpy_helper.to_array(bias).shape).astype(np.float32)
        bias.CopyFrom(numpy_helper.from_array(spoiled, bias.name))
    path.write_bytes(model.SerializeToString())


@contextmanager
def wrecking(how: str, seed: int = 1) -> Iterator[None]:
    """Wreck every candidate behind the job's back, once it is written and before anybody looks at it."""
    honest = run_module.export

    def spoil(*arguments: Any) -> tuple[Path, ...]:
        external = honest(*arguments)
        wreck(arguments[-1], how, seed)
        return external

    run_module.export = spoil
    try:
        yield
    finally:
        run_module.export = honest
