"""What a job of eight candidates costs, in plain trainings of the same steps; processor time, in turns in one run.

    python -m benchmarks.curve_cost [--code NAME] [--settings NAME ...] [--rounds 3]

The plain training is torch's own on the net before its export, with the engine's batches, loss and optimiser; it
exports and measures nothing. The curve is the engine's path: rate, cuts, cooling, export and proof of each candidate.
The job is `compress`: what the data mean, the path, held-out rows, latency and report. A row says what each stage took;
`--code` tells rows of one state of the code from those of another. A second call goes on where the first stopped.
"""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

import spectral_engine as se
from benchmarks import rows
from benchmarks.quality import ours
from benchmarks.quality.pruners import total_steps
from benchmarks.quality.settings import PERCEPTRON, Setting
from benchmarks.quality.start import Case, prepare
from benchmarks.quality.tuning import Tuner

CANDIDATES = 8
SETTINGS = (
    Setting("curve-mnist-3x500", "mnist", f"{PERCEPTRON}-relu", 10, 10_000, "nodes", (0.05,), 5),
    Setting("curve-mnist-vgg", "mnist", "vgg", 4, 2_000, "macs", (0.1,), 4),
    Setting("curve-mnist-vgg-larger", "mnist", "vgg", 6, 4_000, "macs", (0.1,), 4),
    Setting("curve-fashion-resnet", "fashion_mnist", "resnet", 6, 3_000, "macs", (0.1,), 6),
)
# What a stage is, by where the engine does it; time within an inner stage is the inner one's alone.
STAGES = {
    "blocks": "spectral_engine.planning.settle",
    "swaps": "spectral_engine.planning.calibrate_swap_noise",
    "normalisations": "spectral_engine.planning.normalize",
    "path": "spectral_engine.methods.run.CompressionRun.run",
    "rate": "spectral_engine.methods.run.find_rate",
    "trunk": "spectral_engine.methods.run.CompressionRun._step",
    "means": "spectral_engine.methods.run.fold_means",
    "narrowing": "spectral_engine.methods.run.CompressionRun._narrow",
    "cooling": "spectral_engine.methods.run.anneal",
    "settling": "spectral_engine.training.trainer.Trainer.settle",
    "export": "spectral_engine.methods.run.export",
    "proof": "spectral_engine.methods.run.prove_exact",
    "judging": "spectral_engine.compression.build_report",
    "latency": "spectral_engine.judging.candidates.measure_latency",
}
BEFORE_THE_PATH = ("blocks", "swaps", "normalisations", "rest")
AFTER_THE_PATH = ("judging", "latency")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--code", default="now", help="name of the state of the code")
    parser.add_argument("--settings", nargs="*", help="only these")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    nn.utils.clip_grad_norm_(nn.Linear(1, 1).parameters(), 1.0)
    torch.optim.AdamW(nn.Linear(1, 1).parameters())  # what torch imports at first use is nobody's
    for turn in range(asked.rounds):
        for setting in SETTINGS:
            if not asked.settings or setting.name in asked.settings:
                measure(setting, turn, asked.code)


def measure(setting: Setting, turn: int, code: str) -> None:
    """Write one row, where it is not there yet."""
    key = {"setting": setting.name, "code": code, "turn": turn}
    if any(key.items() <= row.items() for row in rows.read("curve_cost")):
        return
    case = prepare(setting, 0)
    once = seconds_of(lambda: plain(case))
    stages = job(case)
    outside = sum(stages.get(name, 0.0) for name in (*BEFORE_THE_PATH, *AFTER_THE_PATH))
    whole = sum(stages.values())
    row = key | {
        "epochs": setting.epochs,
        "candidates": CANDIDATES,
        "plain_seconds": once,
        "curve_seconds": whole - outside,
        "job_seconds": whole,
        "ratio": (whole - outside) / once,
        "job_ratio": whole / once,
        "stages": {name: seconds / once for name, seconds in stages.items()},
    }
    rows.append("curve_cost", row)
    print(row, flush=True)


def plain(case: Case) -> None:
    """Train the starting model once, without a cut."""
    Tuner(case.start, 3e-3).cool(case.start.copy(), total_steps(case))


def job(case: Case) -> dict[str, float]:
    """Run one job; return the processor seconds of each stage."""
    changes = {"prune": {"candidates": CANDIDATES}}
    recipe = ours.recipe_for(case, case.setting.levels[0], None, **changes)
    clock = Clock()
    with clock.watching(), clock.within("rest"):
        result = se.compress(case.model_path, case.data_path, recipe)
    assert len(result.candidates) == CANDIDATES
    return dict(clock.seconds)


def seconds_of(work: Callable[[], None]) -> float:
    """Return the processor seconds of a piece of work."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


class Clock:
    """Processor seconds by stage, of all threads; each second counts for the innermost stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.stages: list[str] = []
        self.last = 0.0

    @contextmanager
    def within(self, stage: str) -> Iterator[None]:
        """Count for this stage until it is left."""
        self._turn()
        self.stages.append(stage)
        try:
            yield
        finally:
            self._turn()
            self.stages.pop()

    def _turn(self) -> None:
        now = time.process_time()
        if self.stages:
            self.seconds[self.stages[-1]] += now - self.last
        self.last = now

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have the engine's own functions tell when they run; what they do stays theirs."""
        with ExitStack() as stack:
            for stage, target in STAGES.items():
                patching = patch(target)
                original, _ = patching.get_original()
                stack.enter_context(patch(target, self._told(stage, original)))
            yield

    def _told(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            with self.within(stage):
                return function(*arguments, **options)

        return run


if __name__ == "__main__":
    main()
