"""Where the time of a job goes besides its training: REST jobs on `eigenpress serve`, from submit to the result read.

    python -m benchmarks.dead_time [--epochs 3 180] [--rounds 3] [--build "what the code is"]

The first job comes as soon as the server answers (cold), each of the others when it has come to rest (warm), and the
last one right after another (queued). A row is one job, cut into spans that follow each other: at the times of its
events, and at those of the client first and last. Each span is told in seconds, and in processor seconds of all of the
service's processes: what others do on the machine is in the first, and waiting is not in the second.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import torch

from benchmarks import rows
from benchmarks.digits import export, perceptron, train
from benchmarks.quality.data import load
from examples.demo import serving
from service.client import Client, Job

WIDTHS, ROWS = (784, 64, 64, 10), 4_000
TARGET = {"max_metric_drop": 0.01}
REST_SECONDS, LOOK_SECONDS = 15.0, 0.1
TICKS = os.sysconf("SC_CLK_TCK")
STAGE = "job.stage_changed"
# What ends each span, in order: an event's type and, of a stage, its name.
ENDS = {
    "to_claim": ("job.started", None),
    "to_engine": (STAGE, "importing"),
    "importing": (STAGE, "measuring_baseline"),
    "baseline": (STAGE, "training"),
    "training": (STAGE, "verifying"),
    "measuring": (STAGE, "reporting"),
    "recording": ("job.succeeded", None),
}
SPANS = (*ENDS, "reading")
TO_TRAINING = ("to_claim", "to_engine", "importing", "baseline")
TO_RESULT = ("recording", "reading")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--epochs", type=int, nargs="+", default=[3, 180])
    parser.add_argument("--rounds", type=int, default=3, help="warm jobs of the first length")
    parser.add_argument("--build", default="", help="noted in the rows: what the code is")
    parser.add_argument("--dry", action="store_true", help="write no rows")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # the other core is the client's and the server's
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(Path(folder), *given.epochs, rounds=given.rounds):
            row |= {"build": given.build, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
            print(json.dumps(row), flush=True)
            if not given.dry:
                rows.append("dead_time", row)


def measure(folder: Path, short: int, *longer: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Serve from `folder` and yield a row for each job."""
    model, data = files(folder)
    with (
        serving(folder / "serve.log") as url,
        Client(url) as client,
        Clock() as clock,
    ):
        ids = client.models.create(model).id, client.datasets.create(data).id
        yield {"state": "cold"} | run(url, submit(client, ids, short), clock)
        for epochs in (*[short] * rounds, *longer):
            time.sleep(REST_SECONDS)
            yield {"state": "warm"} | run(url, submit(client, ids, epochs), clock)
        time.sleep(REST_SECONDS)
        first, second = (submit(client, ids, short) for _ in range(2))
        recorded = run(url, first, clock)["recorded_at"]
        yield {"state": "queued"} | run(url, second, clock, since=recorded)


def files(folder: Path) -> tuple[Path, Path]:
    """Write the data, and a perceptron that was trained on it."""
    digits = load("mnist", ROWS, seed=0)
    parts = {"train": digits.train, "val": digits.validation, "test": digits.test}
    arrays = {f"x_{name}": x for name, (x, _) in parts.items()}
    arrays |= {f"y_{name}": y for name, (_, y) in parts.items()}
    np.savez(folder / "mnist.npz", **arrays)  # type: ignore[arg-type]  # names are the data set's
    torch.manual_seed(0)
    net = train(perceptron(WIDTHS), *digits.train, seed=0)
    export(net, torch.zeros(1, WIDTHS[0]), folder / "net.onnx")
    return folder / "net.onnx", folder / "mnist.npz"


def submit(client: Client, ids: tuple[str, str], epochs: int) -> tuple[float, Job]:
    """Submit a job; return when that was, and the job."""
    begun = time.time()
    recipe = {"target": TARGET, "training": {"epochs": epochs}, "seed": 0}
    return begun, client.jobs.create(model=ids[0], dataset=ids[1], recipe=recipe)


def run(
    url: str, submitted: tuple[float, Job], clock: Clock, since: float | None = None
) -> dict[str, Any]:
    """Wait for a job, read its result, and return its spans, counted from `since` or its submit."""
    begun, job = submitted
    with tempfile.TemporaryDirectory() as folder:
        job.wait().download_model(Path(folder) / "out.onnx")
    ends = [since or begun, *span_ends(url, job.id), time.time()]
    clock.look()
    return {
        "epochs": job.recipe["training"]["epochs"],
        "seconds": figures(ends),
        "processor": figures([clock.at(end) for end in ends]),
        "peak_memory_bytes": job.usage.peak_memory_bytes,
        "recorded_at": ends[-2],
    }


def span_ends(url: str, job: str) -> list[float]:
    """Return when each span of a job has ended, by the first event that says so."""
    answer = httpx2.get(f"{url}/v1/jobs/{job}/events", params={"limit": 1000}).raise_for_status()
    told = {
        (one["type"], one["data"].get("stage") if one["type"] == STAGE else None): one
        for one in reversed(answer.json()["data"])
    }
    return [datetime.fromisoformat(told[mark]["created_at"]).timestamp() for mark in ENDS.values()]


def figures(ends: Sequence[float]) -> dict[str, float]:
    """Return the spans between ends, and the figures that sum them up."""
    spans = dict(zip(SPANS, (b - a for a, b in pairwise(ends)), strict=True))
    whole = ends[-1] - ends[0]
    seconds = {
        "whole": whole,
        "whole_to_training": whole / spans["training"],
        "submit_to_training": sum(spans[name] for name in TO_TRAINING),
        "measured_to_result": sum(spans[name] for name in TO_RESULT),
        **spans,
    }
    return {name: round(value, 3) for name, value in seconds.items()}


class Clock:
    """Knows how much processor time all that was started from here had used at any time."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.keep_looking, daemon=True)

    def __enter__(self) -> Clock:
        self.look()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join()

    def keep_looking(self) -> None:
        while not self.stopping.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        used, children = all_processes()
        processes, total = [*children[os.getpid()]], 0.0
        while processes:
            process = processes.pop()
            total += used[process]
            processes += children[process]
        # A process that is just being collected is counted nowhere: what was used cannot become less.
        self.seen.append((time.time(), max(total, self.seen[-1][1] if self.seen else 0.0)))

    def at(self, moment: float) -> float:
        """Return the processor seconds until then."""
        times, used = zip(*self.seen, strict=True)
        return float(np.interp(moment, times, used))


def all_processes() -> tuple[dict[int, float], dict[int, list[int]]]:
    """Return the processor seconds of every process, its collected children included, and its children that are not."""
    used: dict[int, float] = {}
    children: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            process = int(path.parent.name)
            used[process] = sum(map(int, fields[11:15])) / TICKS
            children[int(fields[1])].append(process)
    return used, children


if __name__ == "__main__":
    main()
