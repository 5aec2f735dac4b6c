"""A whole training step of the engine against plain PyTorch's, on a CPU: five nets, in turns, in processor time.

    python -m benchmarks.step_excess [--rounds 25] [--batch 128] [--nets mlp vit]

Plain: rows gathered, the module as its author wrote it, cross-entropy, backward, fused AdamW, the loss read. The
engine's: the same file imported, in spectral form, with what a job does at each step besides: swaps of inputs, the
original's answers in the loss, relevance from gradients, gradients clipped, the loss checked.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks import rows
from benchmarks.digits import export
from benchmarks.speed.nets import NETS, Net
from spectral_engine.data import Split
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.head import Head
from spectral_engine.graph.loading import load
from spectral_engine.graph.module import OnnxModule
from spectral_engine.records.recipe import Recipe
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.spectral.relevance import Relevance
from spectral_engine.training.feed import Feed
from spectral_engine.training.normalization import normalize
from spectral_engine.training.objective import Objective
from spectral_engine.training.teacher import Teacher
from spectral_engine.training.trainer import Trainer

NAMES = ("mlp", "vgg", "resnet20", "vit", "lstm")
CPU = torch.device("cpu")
BATCHES_OF_ROWS, WARM_UP, RATE, SWAPS = 4, 3, 1e-4, 0.05
Step = Callable[[], float]


def plain_step(net: nn.Module, split: Split, batch: int) -> Step:
    """Return what somebody writes who trains the module itself."""
    optimizer = torch.optim.AdamW(net.train().parameters(), lr=RATE, fused=True)
    x, labels = torch.from_numpy(split.inputs["x"]), torch.from_numpy(split.labels)
    order = np.random.default_rng(0)

    def step() -> float:
        chosen = torch.from_numpy(order.permutation(len(labels))[:batch])
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(net(x[chosen]), labels[chosen])
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def engine_step(path: Path, split: Split, batch: int) -> Step:
    """Return a step of a job that prunes by the default score."""
    feed, recipe = Feed(split, batch, CPU, swaps=SWAPS), Recipe(method="prune")
    module, training = load(path), recipe.training
    coupling = couple(module, split.row_shapes)
    unfolded = normalize(module, coupling, feed)
    if unfolded is not None:
        module, coupling = OnnxModule(unfolded.model), unfolded.coupling
    objective = Objective(
        "classification",
        Head("logits", "logits", None),
        training.distill,
        training.temperature,
        1.0,
    )
    teacher = Teacher(load(path), objective.watch, feed)
    trainer = Trainer(
        SpectralModel(module, coupling, recipe.spectral), objective, teacher, training, CPU
    )
    relevance = Relevance(trainer.model, recipe.prune.score, recipe.seed)
    return lambda: trainer.step(feed.at_step(trainer.steps, 0), RATE, relevance.observe)


def steps_of(net: Net, batch: int, path: Path) -> dict[str, Step]:
    """Return both loops over one net, each with a copy of its weights, and the same rows."""
    random = np.random.default_rng(0)
    count = BATCHES_OF_ROWS * batch
    x = random.standard_normal((count, *net.row), dtype=np.float32)
    split = Split({"x": x}, random.integers(0, 10, count))
    export(net.build(), torch.zeros(1, *net.row), path)
    return {
        "plain": plain_step(net.build(), split, batch),
        "engine": engine_step(path, split, batch),
    }


def compare(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    """Time both in turns; the ratio is the median of the pairs' ratios."""
    for step in steps.values():
        for _ in range(WARM_UP):
            step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    order = np.random.default_rng(0)
    for _ in range(rounds):
        for name in order.permutation(list(steps)):
            begun = time.process_time()
            steps[name]()
            seconds[name].append(time.process_time() - begun)
    pairs = zip(seconds["engine"], seconds["plain"], strict=True)
    return {
        "times_plain": statistics.median(engine / plain for engine, plain in pairs),
        "engine_ms": statistics.median(seconds["engine"]) * 1e3,
        "plain_ms": statistics.median(seconds["plain"]) * 1e3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--nets", nargs="+", default=list(NAMES), choices=NETS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in asked.nets:
        with tempfile.TemporaryDirectory() as folder:
            steps = steps_of(NETS[name], asked.batch, Path(folder) / "net.onnx")
            row = {"net": name, "batch": asked.batch, "rounds": asked.rounds}
            row |= compare(steps, asked.rounds)
        rows.append("step_excess", row)
        print(row, flush=True)


if __name__ == "__main__":
    main()
