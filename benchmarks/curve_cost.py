"""What a whole curve of eight candidates costs, in plain trainings of the same epochs; both in one run, in turns.

    python -m benchmarks.curve_cost [--rounds 3]

The plain training is torch's own on the uploaded net, with the engine's batches, loss and optimiser; it exports and
measures nothing. The curve is the engine's whole path: the rate, the cuts, every candidate's cooling, export and proof.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import torch

from benchmarks import rows
from benchmarks.quality import ours
from benchmarks.quality.pruners import total_steps
from benchmarks.quality.settings import PERCEPTRON, Setting
from benchmarks.quality.start import Case, prepare
from benchmarks.quality.tuning import Tuner
from spectral_engine.planning import plan, start_run
from spectral_engine.preparation.prepare import prepare as set_up
from spectral_engine.records.progress import ignore

CANDIDATES = 8
SETTINGS = (
    Setting("curve-mnist-3x500", "mnist", f"{PERCEPTRON}-relu", 10, 10_000, "nodes", (0.05,), 5),
    Setting("curve-mnist-vgg", "mnist", "vgg", 4, 2_000, "macs", (0.1,), 4),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    for setting in SETTINGS:
        case = prepare(setting, 0)
        seconds = [(plain(case), curve(case)) for _ in range(rounds)]
        ratios = sorted(whole / once for once, whole in seconds)
        row = {
            "setting": setting.name,
            "epochs": setting.epochs,
            "candidates": CANDIDATES,
            "rounds": rounds,
            "plain_seconds": min(once for once, _ in seconds),
            "curve_seconds": min(whole for _, whole in seconds),
            "ratio": ratios[len(ratios) // 2],
        }
        rows.append("curve_cost", row)
        print(row, flush=True)


def plain(case: Case) -> float:
    """Return the seconds of one plain training."""
    begun = time.perf_counter()
    Tuner(case.start, 3e-3).cool(case.start.copy(), total_steps(case))
    return time.perf_counter() - begun


def curve(case: Case) -> float:
    """Return the seconds of one path with all its candidates."""
    changes = {"prune": {"candidates": CANDIDATES}}
    recipe = ours.recipe_for(case, case.setting.levels[0], None, **changes)
    begun = time.perf_counter()
    setup = set_up(case.model_path, case.data_path, recipe)
    with tempfile.TemporaryDirectory() as folder:
        task = plan(setup, Path(folder), ignore)
        built = start_run(setup, task).run()
    assert len(built) == CANDIDATES
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
