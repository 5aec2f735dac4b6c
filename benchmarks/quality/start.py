"""The starting models: trained once per setting and seed, kept on disk as weights, ONNX and data."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.quality import data as data_sets
from benchmarks.quality.nets import build
from benchmarks.quality.settings import Setting
from benchmarks.quality.tuning import Start, Tuner

CACHE = Path(os.environ.get("EIGENPRESS_BENCH_CACHE", Path(__file__).parent / ".cache"))
START_RATE = 2e-3


@dataclass
class Case:
    """One starting model of one setting, and the files that the engine reads."""

    setting: Setting
    seed: int
    start: Start
    model_path: Path
    data_path: Path


def prepare(setting: Setting, seed: int) -> Case:
    """Return the starting model, training it where it is not there yet."""
    torch.manual_seed(seed)
    data = data_sets.load(setting.data, setting.rows, seed)
    inputs = data.train[0].shape[1]
    net = build(setting.net, inputs, data.outputs)
    folder = CACHE / f"{setting.name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "weights.pt"
    if weights.is_file():
        net.load_state_dict(torch.load(weights, weights_only=True))
    else:
        _train(net, data, setting, seed)
        torch.save(net.state_dict(), weights)
    case = Case(setting, seed, _start(net, data, seed), folder / "net.onnx", folder / "data.npz")
    _write_files(case)
    return case


def _train(net: nn.Module, data: data_sets.Data, setting: Setting, seed: int) -> None:
    start = Start(net, data, torch.zeros(len(data.train[1]), data.outputs), seed + 1000)
    tuner = Tuner(start, START_RATE, distill=0.0)
    tuner.cool(net, setting.start_epochs * start.steps_per_epoch)


@torch.no_grad()
def _start(net: nn.Module, data: data_sets.Data, seed: int) -> Start:
    net.eval()
    x = torch.from_numpy(data.train[0])
    return Start(net, data, torch.cat([net(rows) for rows in x.split(1000)]), seed)


def _write_files(case: Case) -> None:
    start = case.start
    if not case.data_path.is_file():
        arrays: dict[str, np.ndarray] = {}
        for name, part in (("train", start.data.train), ("val", start.data.validation)):
            arrays[f"x_{name}"], arrays[f"y_{name}"] = part
        # The engine wants a third part; it gets validation rows, so that nothing can read the test rows.
        arrays["x_test"], arrays["y_test"] = start.data.validation
        np.savez(case.data_path, **arrays)
    if not case.model_path.is_file():
        torch.onnx.export(
            start.net.eval(),
            (torch.zeros(1, start.inputs),),
            str(case.model_path),
            input_names=["x"],
            output_names=["logits"],
            dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}},
            dynamo=False,
        )
