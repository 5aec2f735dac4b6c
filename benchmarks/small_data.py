"""Jobs on 2,500 rows with a floor of one point: what they hold out, hand out and show, and the true drop.

    python -m benchmarks.small_data [--seeds 0 1 2]

What has a row is not run again. The original is trained on rows of its own; the job gets 2,500 others, with 15 % or
with 30 % of them held out; the drop is then measured on all that is left.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

import spectral_engine as se
from benchmarks import rows
from benchmarks.quality import data as data_sets
from benchmarks.quality.nets import perceptron

NAME = "small_data"
DATA = ("adult", "letter", "mnist", "satellite")
SEEDS = (0, 1, 2)
ROWS, FLOOR = 2500, 0.01
HIDDEN = (128, 64)
EPOCHS, RATE, BATCH = 20, 2e-3, 128
ENDS = {"usual": (1750, 2125), "more": (1375, 1750)}  # of the rows to train on and to choose by

Arrays = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Run every cell that has no row, and write each as it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    done = {(row["data"], row["seed"], row["split"]) for row in rows.read(NAME)}
    for seed in parser.parse_args().seeds:
        for name in DATA:
            for split in ENDS:
                if (name, seed, split) not in done:
                    rows.append(NAME, measure(name, seed, split))


def measure(name: str, seed: int, split: str) -> dict[str, Any]:
    """Return one row."""
    original_rows, given, left = parts(name, seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = train(original_rows, seed, folder / "net.onnx")
        asked = {"target": {"max_metric_drop": FLOOR}, "seed": seed, "training": {"device": "cpu"}}
        result = se.compress(model, write(given, split, folder / "data.npz"), asked)
        result.chosen.save(folder / "small.onnx")
        drop = accuracy(model, left) - accuracy(folder / "small.onnx", left)
    entry, test = result.chosen.entry, result.chosen.entry.floor_test
    assert test is not None
    return {
        "data": name,
        "seed": seed,
        "split": split,
        "held_out": result.report.data.data.test_rows,
        "outcome": result.outcome,
        "macs_kept": entry.measurement.macs / result.report.data.baseline.macs,
        "drop": entry.drop.value,
        "bound": test.upper_bound,
        "true_drop": drop,
        "true_rows": len(left[1]),
    }


def parts(name: str, seed: int) -> tuple[Arrays, Arrays, Arrays]:
    """Return the original's rows, the job's and those that nobody sees; columns scaled by the original's."""
    x, y, x_test, y_test = data_sets.read(name)
    x, y = np.concatenate([x, x_test]), np.concatenate([y, y_test]).astype(np.int64)
    x = x.reshape(len(x), -1).astype(np.float32)
    order = np.random.default_rng([seed, 41]).permutation(len(y))
    most = min(20_000, (len(y) - ROWS) * 2 // 3)
    original_rows, given, left = np.split(order, [most, most + ROWS])
    mean, deviation = x[original_rows].mean(0), x[original_rows].std(0) + 1e-6
    scaled = ((x - mean) / deviation).clip(-8, 8)
    return (
        (scaled[original_rows], y[original_rows]),
        (scaled[given], y[given]),
        (scaled[left], y[left]),
    )


def train(original_rows: Arrays, seed: int, path: Path) -> Path:
    """Train the original with Adam and export it."""
    torch.manual_seed(seed)
    x, y = torch.from_numpy(original_rows[0]), torch.from_numpy(original_rows[1])
    net = perceptron((x.shape[1], *HIDDEN, int(y.max()) + 1))
    optimiser = torch.optim.Adam(net.parameters(), RATE)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(y)).split(BATCH):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimiser.step()
    names = {"input_names": ["x"], "output_names": ["logits"], "dynamo": False}
    torch.onnx.export(net.eval(), (x[:1],), str(path), dynamic_axes={"x": {0: "n"}}, **names)
    return path


def write(given: Arrays, split: str, path: Path) -> Path:
    """Write the job's rows in three parts."""
    x, y = given
    names = ("train", "val", "test")
    arrays = {
        f"{kind}_{part}": rows
        for kind, whole in (("x", x), ("y", y))
        for part, rows in zip(names, np.split(whole, ENDS[split]), strict=True)
    }
    np.savez(path, **arrays)
    return path


def accuracy(model: Path, left: Arrays) -> float:
    """Return the share of right answers in onnxruntime."""
    session = onnxruntime.InferenceSession(str(model))
    answers = session.run(None, {"x": left[0]})[0]
    return float((answers.argmax(1) == left[1]).mean())


if __name__ == "__main__":
    main()
