"""What a GPU gives: a training step on it against plain torch there, and whole jobs on it against the CPU.

    python -m benchmarks.gpu [--device cuda] [--quick]

Steps take turns in one run, each loop from rows in the host's memory to a loss that Python has read. `copies` counts
what goes between host and device in one step; reading the loss is one.
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

import spectral_engine as se
from benchmarks import rows
from benchmarks.quality.data import load as load_data
from benchmarks.quality.nets import build
from benchmarks.quality.ours import DenseModel
from spectral_engine.data import Split
from spectral_engine.graph.coupling import Coupling, couple
from spectral_engine.graph.head import Head
from spectral_engine.graph.loading import load
from spectral_engine.graph.module import OnnxModule
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.training import Precision
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.feed import Feed
from spectral_engine.training.normalization import normalize
from spectral_engine.training.objective import Objective
from spectral_engine.training.trainer import Trainer

NETS = {
    "perceptron 784-500-500-500-10": "500-500-500-relu",
    "ResNet-20 of three quarters width": "resnet",
}
BATCHES = (128, 1024)
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
ROWS, START_EPOCHS, JOB_EPOCHS = 20_000, 1, 3
ROUNDS, STEPS_A_ROUND, WARM_UP = 7, 20, 5
Step = Callable[[], Any]


@dataclass(frozen=True)
class Bench:
    """A net, its file, and rows to train on."""

    name: str
    net: nn.Module
    model: Path
    data: Path
    split: Split


class Copies(TorchDispatchMode):
    """Counts what goes between the host and a device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = func._schema.name
        if name == "aten::_local_scalar_dense":
            self.count += args[0].device.type != "cpu"
        elif name in {"aten::_to_copy", "aten::copy_"}:
            tensors = [v for v in tree_flatten((args, output))[0] if isinstance(v, torch.Tensor)]
            self.count += len({v.device.type for v in tensors}) > 1
        return output


def card(device: torch.device) -> str:
    """Return what the device calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def prepare(folder: Path, name: str) -> Bench:
    """Train a net for a moment and write it beside its data."""
    mnist = load_data("mnist", ROWS, 0)
    torch.manual_seed(0)
    net = build(NETS[name], 784, 10)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    x, y = (torch.from_numpy(part) for part in mnist.train)
    for _ in range(START_EPOCHS):
        for places in torch.randperm(len(y)).split(128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[places]), y[places]).backward()
            optimizer.step()
    model, data = folder / f"{NETS[name]}.onnx", folder / "mnist.npz"
    torch.onnx.export(
        net.eval(), (torch.zeros(1, 784),), str(model), input_names=["x"], output_names=["logits"],
        dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}}, dynamo=False,
    )  # fmt: skip
    parts = {"train": mnist.train, "val": mnist.validation, "test": mnist.test}
    pairs = {
        f"{k}_{n}": part for n, pair in parts.items() for k, part in zip("xy", pair, strict=True)
    }
    np.savez(data, **pairs)
    return Bench(name, net, model, data, Split({"x": mnist.train[0]}, mnist.train[1]))


def plain_step(
    bench: Bench, batch: int, device: torch.device, precision: Precision, *, fused: bool
) -> Step:
    """Return torch's own step, over the same rows in the same order."""
    feed = Feed(bench.split, batch, device)
    net = copy.deepcopy(bench.net).to(device).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=fused)
    half = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    taken = 0

    def step() -> float:
        nonlocal taken
        drawn = feed.at_step(taken, 0)
        taken += 1
        optimizer.zero_grad(set_to_none=True)
        with half:
            answers = net(drawn.inputs["x"])
        loss = nn.functional.cross_entropy(answers.float(), drawn.labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def engine_step(
    bench: Bench,
    batch: int,
    device: torch.device,
    precision: Precision,
    form: type[SpectralModel] = SpectralModel,
) -> Step:
    """Return the engine's step without a teacher, on spectral or on plain weights."""
    feed = Feed(bench.split, batch, device)
    training = {"device": str(device), "precision": precision, "distill": 0.0}
    recipe = Recipe(method="prune", training=training)
    module, coupling = as_trained(bench, feed)
    head = Head("logits", "logits", None)
    objective = Objective("classification", head, 0.0, recipe.training.temperature, 1.0)
    model = form(module, coupling, recipe.spectral)
    trainer = Trainer(model, objective, None, recipe.training, device)
    return lambda: trainer.step(feed.at_step(trainer.steps, 0), 1e-4)


def as_trained(bench: Bench, feed: Feed) -> tuple[OnnxModule, Coupling]:
    """Return the net as a job trains it: with the normalisations that its exporter folded away."""
    module = load(bench.model)
    coupling = couple(module)
    normalized = normalize(module.to(feed.device), coupling, feed)
    return (
        (module, coupling)
        if normalized is None
        else (OnnxModule(normalized.model), normalized.coupling)
    )


def steps_of(bench: Bench, batch: int, device: torch.device) -> dict[tuple[str, Precision], Step]:
    """Return every loop that is compared."""
    steps: dict[tuple[str, Precision], Step] = {}
    for precision in PRECISIONS:
        steps["plain torch", precision] = plain_step(bench, batch, device, precision, fused=True)
        steps["engine, spectral", precision] = engine_step(bench, batch, device, precision)
    steps["plain torch, optimiser not fused", "float32"] = plain_step(
        bench, batch, device, "float32", fused=False
    )
    steps["engine, plain weights", "float32"] = engine_step(
        bench, batch, device, "float32", DenseModel
    )
    return steps


def time_steps(steps: dict[Any, Step], device: torch.device, rounds: int) -> dict[Any, float]:
    """Return each loop's median milliseconds a step, taken in turns."""
    seconds: dict[Any, list[float]] = {key: [] for key in steps}
    for step in steps.values():
        for _ in range(WARM_UP):
            step()
    for _ in range(rounds):
        for key, step in steps.items():
            wait_for(device)
            begun = time.perf_counter()
            for _ in range(STEPS_A_ROUND):
                step()
            wait_for(device)
            seconds[key].append((time.perf_counter() - begun) / STEPS_A_ROUND)
    return {key: 1e3 * statistics.median(samples) for key, samples in seconds.items()}


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_steps(bench: Bench, device: torch.device, rounds: int) -> None:
    for batch in BATCHES:
        steps = steps_of(bench, batch, device)
        milliseconds = time_steps(steps, device, rounds)
        for (loop, precision), ms in milliseconds.items():
            with Copies() as copies:
                steps[loop, precision]()
            row = {"what": "step", "net": bench.name, "card": card(device), "batch": batch}
            row |= {"loop": loop, "precision": precision, "ms": ms, "copies": copies.count}
            row["times_plain"] = ms / milliseconds["plain torch", precision]
            row["normalisations"] = "trained" if "resnet" in NETS[bench.name] else "none"
            append(row)


def measure_job(bench: Bench, device: torch.device, precision: Precision, epochs: int) -> None:
    recipe = Recipe(
        target={"keep_nodes": 0.3},
        training={"epochs": epochs, "device": str(device), "precision": precision},
        prune={"candidates": 2},
        seed=0,
    )
    begun = time.perf_counter()
    result = se.compress(bench.model, bench.data, recipe)
    row = {
        "what": "job",
        "net": bench.name,
        "card": card(device),
        "batch": recipe.training.batch_size,
    }
    row |= {"loop": f"prune to 30 % of the nodes, {epochs} epochs", "precision": precision}
    row |= {"seconds": time.perf_counter() - begun, "training_rows": bench.split.rows}
    append(row | {"accuracy": result.chosen.entry.measurement.metric.value})


def append(row: dict[str, Any]) -> None:
    rows.append("gpu", row)
    print(row, flush=True)


def main() -> None:
    """Measure steps and jobs on the device, and jobs on the CPU beside it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="as few rounds as tell that it runs")
    asked = parser.parse_args()
    device, rounds = torch.device(asked.device), 1 if asked.quick else ROUNDS
    epochs = 1 if asked.quick else JOB_EPOCHS
    with tempfile.TemporaryDirectory() as folder:
        benches = [prepare(Path(folder), name) for name in NETS]
        for bench in benches:
            measure_steps(bench, device, rounds)
        for bench in benches:
            for precision in PRECISIONS:
                measure_job(bench, device, precision, epochs)
            if device.type != "cpu":
                measure_job(bench, torch.device("cpu"), "float32", epochs)


if __name__ == "__main__":
    main()
