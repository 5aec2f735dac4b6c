"""How the processor time of a job grows with rows, width and depth, beyond what is the same for all.

    python -m benchmarks.growth [--build "what the code is"]

A perceptron of random weights on random rows, at once, four times and sixteen times the size of one kind. With the
times t₁, t₂, t₃ the exponent is log((t₃ − t₂) / (t₂ − t₁)) / log 4: a fixed cost falls out of it. Of several rounds the
least time counts: whoever shares the machine can only add to it. Rows are written as they come, and not measured twice.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import spectral_engine as se
from benchmarks import rows
from benchmarks.at_size.nets import Net, perceptron
from benchmarks.at_size.watch import Watch
from spectral_engine.records.progress import Progress

FEATURES, TIMES = 64, (1, 4, 16)
BASE = {"rows": 2000, "width": 128, "depth": 3}
# What is varied, and what it is at once: width counts parameters, so that it doubles as these grow fourfold.
STARTS = {"rows": 1000, "width": 128, "depth": 4}
BATCH = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="", help="noted in the rows: what the code is")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", default=[*STARTS], choices=STARTS)
    given = parser.parse_args()
    for kind in given.kinds:
        by_time = [measured(_sizes(kind, times), given.rounds) for times in TIMES]
        row = {
            "kind": kind,
            "build": given.build,
            "sizes": [_sizes(kind, times)[kind] for times in TIMES],
            "processor_seconds": by_time,
            "exponents": {stage: exponent(by_time, stage) for stage in by_time[0]},
        }
        print(json.dumps(row), flush=True)
        rows.append("growth", row)


def exponent(by_time: list[dict[str, float]], stage: str) -> float | None:
    """Return the exponent beyond a fixed cost; None where the times tell nothing of it."""
    first, second, third = (seconds.get(stage, 0.0) for seconds in by_time)
    if not first < second < third:
        return None
    return math.log((third - second) / (second - first)) / math.log(TIMES[1])


def _sizes(kind: str, times: int) -> dict[str, int]:
    start = STARTS[kind]
    return BASE | {kind: start * math.isqrt(times) if kind == "width" else start * times}


def measured(sizes: dict[str, int], rounds: int) -> dict[str, float]:
    """Return the least processor seconds of each stage, and of all, over so many jobs in processes of their own."""
    told = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", f"from benchmarks.growth import job; job(**{sizes})"],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(json.loads(done.stdout.strip().rpartition("\n")[2]))
    return {stage: min(seconds[stage] for seconds in told) for stage in told[0]}


def job(**sizes: int) -> None:
    """Run one job and print its processor seconds by stage."""
    watch = Watch()

    def tell(progress: Progress) -> None:
        if progress.stage != watch.stage:
            watch.enter(progress.stage)

    with tempfile.TemporaryDirectory() as folder:
        model, data = files(Path(folder), sizes)
        recipe: dict[str, Any] = {
            "target": {"max_params": 0.5},
            "training": {"epochs": 2, "batch_size": BATCH, "learning_rate": 1e-4},
            "prune": {"candidates": 2},
            "allow_poor_original": True,
        }
        watch.enter("loading")
        se.compress(model, data, recipe, tell)
    watch.enter("end")
    seconds: dict[str, float] = {k: v for k, v in watch.seconds.items() if k != "start"}
    print(json.dumps(seconds | {"whole": sum(seconds.values())}))


def files(folder: Path, sizes: dict[str, int]) -> tuple[Path, Path]:
    """Write the net and its rows."""

    def row(random: np.random.Generator, count: int) -> np.ndarray:
        return random.standard_normal((count, FEATURES), dtype=np.float32)

    net = Net(lambda: perceptron(sizes["width"], sizes["depth"], FEATURES), row)
    return net.export(folder / "net.onnx"), net.data(folder / "rows.npz", sizes["rows"])


if __name__ == "__main__":
    main()
