"""One training step in spectral form against the same step on plain weights, interleaved in one run.

    python -m benchmarks.spectral_step [--rounds 60]

Same imported module, same rows, same AdamW; the only difference is w = (λ_in − λ_out) φ. Two loops are timed: forward,
backward and AdamW alone, and the engine's own, of which an epoch is made: rows gathered, loss on labels and on the
original's answers, gradients clipped.
"""

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
from benchmarks.digits import export, perceptron
from benchmarks.quality.ours import DenseModel
from spectral_engine.data import Split
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.head import Head
from spectral_engine.graph.loading import load
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.training import Spectral
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.feed import Feed
from spectral_engine.training.objective import Objective
from spectral_engine.training.teacher import Teacher
from spectral_engine.training.trainer import Trainer

CPU = torch.device("cpu")
BATCH = 128
ROWS = 20 * BATCH
THREADS = 1


def small_convolutional_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron 784-500-500-10": (lambda: perceptron((784, 500, 500, 10)), (784,)),
    "convolutional 32-64-64": (small_convolutional_net, (1, 28, 28)),
}


def stepper(
    parameters: list[nn.Parameter], forward: Callable[[], torch.Tensor], labels: torch.Tensor
) -> Callable[[], None]:
    """Return one whole training step."""
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(forward(), labels).backward()
        optimizer.step()

    return step


def build(path: Path, shape: tuple[int, ...]) -> dict[str, Callable[[], None]]:
    """Return a plain and a spectral step over the same file."""
    x = torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(BATCH) % 10
    plain, base = load(path), load(path)
    spectral = SpectralModel(base, couple(base), Spectral())
    parameters = [item.tensor for item in spectral.trained().values()]
    weights = [plain.initializer(name) for name in plain.trainable]
    return {
        "plain": stepper(weights, lambda: plain.compute({"x": x})["logits"], labels),
        "spectral": stepper(parameters, lambda: spectral({"x": x})["logits"], labels),
    }


def build_trained(path: Path, shape: tuple[int, ...]) -> dict[str, Callable[[], None]]:
    """Return the engine's step over the same file, on plain and on spectral weights."""
    random = np.random.default_rng(0)
    split = Split(
        {"x": random.standard_normal((ROWS, *shape), dtype=np.float32)},
        random.integers(0, 10, ROWS),
    )
    feed = Feed(split, BATCH, CPU)
    recipe = Recipe(method="prune")
    head, training = Head("logits", "logits", None), recipe.training
    objective = Objective("classification", head, training.distill, training.temperature, 1.0)
    teacher = Teacher(load(path), objective.watch, feed)

    def step_of(form: type[SpectralModel]) -> Callable[[], None]:
        module = load(path)
        model = form(module, couple(module), Spectral())
        trainer = Trainer(model, objective, teacher, recipe.training, CPU)

        def step() -> None:
            trainer.step(feed.at_step(trainer.steps, 0), 1e-3)

        return step

    return {"plain": step_of(DenseModel), "spectral": step_of(SpectralModel)}


LOOPS = {"step alone": build, "engine's": build_trained}


def compare(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Time both in turns; the ratio is the median of the pairs' ratios."""
    for step in steps.values():
        for _ in range(5):
            step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    order = np.random.default_rng(0)
    for _ in range(rounds):
        for name in order.permutation(list(steps)):
            begun = time.perf_counter()
            steps[name]()
            seconds[name].append(time.perf_counter() - begun)
    pairs = zip(seconds["spectral"], seconds["plain"], strict=True)
    return {
        "ratio": statistics.median(spectral / plain for spectral, plain in pairs),
        "plain_ms": statistics.median(seconds["plain"]) * 1e3,
        "spectral_ms": statistics.median(seconds["spectral"]) * 1e3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, shape) in NETS.items():
            torch.manual_seed(0)
            path = Path(folder) / "net.onnx"
            export(make().eval(), torch.zeros(1, *shape), path)
            for loop, steps_of in LOOPS.items():
                row = {"net": name, "loop": loop, "batch": BATCH, "threads": THREADS}
                row |= {"rounds": rounds} | compare(steps_of(path, shape), rounds)
                rows.append("spectral_step", row)
                print(row, flush=True)


if __name__ == "__main__":
    main()
