"""Quality at equal time: Torch-Pruning's file, and ours under a limit on time that is what its file takes.

    python -m benchmarks.speed.equal_time [--settings NAME ...] [--shares 0.5 0.25] [--seeds 0 1] [--run now]

Torch-Pruning cuts each layer by one ratio, by the norms of its weights, with `round_to=8`, to a share of the
multiply-adds, and its net is tuned by the loss, the batches and the number of steps that ours has from its start to its
end. Its learning rate is the one that the quality benchmark's search on validation rows found for it; ours is the
recipe's default, found by the job. Its time is taken beside the original's, and is our `max_latency_ms`, as that share
of the original's time: what `spectral_engine.compress` chooses is ours. In the end all three files are timed side by
side, in turns, in one process: processor time, one thread, medians. Validation rows choose, test rows are read once,
for the row. Cells that have a row of this run are left out; Torch-Pruning's files are kept beside the starting models.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks import rows
from benchmarks.digits import export
from benchmarks.quality import ours as quality
from benchmarks.quality.pruners import total_steps
from benchmarks.quality.settings import SETTINGS
from benchmarks.quality.start import Case, prepare
from benchmarks.quality.tuning import Tuner
from benchmarks.speed.cuts import macs_of, pruned_by_them, widths_of
from benchmarks.speed.timing import timed
from spectral_engine import Recipe, compress
from spectral_engine.errors import TargetInfeasible

NAME = "equal_time"
SHARES = (0.5, 0.25)
SEEDS = (0, 1)
ROUNDINGS = (8, 4, 1)  # the first at which Torch-Pruning comes to the share
SEARCHED = "l2, one-shot"  # its name in the rows of quality
LIMITED_BATCH = 1  # `max_latency_ms` is of one row
BATCHES = (LIMITED_BATCH, 32)
SECONDS = 4.0  # of timing for each batch
TAKEN = ("mnist-vgg", "fashion-resnet", "mnist-3x500-relu", "letter-2x200-relu")
CELLS = {setting.name: setting for setting in SETTINGS if setting.name in TAKEN}

Row = dict[str, Any]


@dataclass(frozen=True)
class Rival:
    """Torch-Pruning's tuned net as a file, of what its widths are multiples, and its learning rate."""

    path: Path
    round_to: int
    rate: float


def main() -> None:
    """Write one row for each setting, share and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", nargs="+", choices=list(CELLS), default=list(CELLS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES))
    parser.add_argument("--run", default="now", help="rows of other runs stay beside these")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for seed, name, share in product(asked.seeds, asked.settings, asked.shares):
        if not _is_there(asked.run, name, share, seed):
            row = measure(prepare(CELLS[name], seed), share)
            rows.append(NAME, {"run": asked.run, **row})
            print(row, flush=True)


def _is_there(run: str, name: str, share: float, seed: int) -> bool:
    return any(
        (row["run"], row["setting"], row["share"], row["seed"]) == (run, name, share, seed)
        for row in rows.read(NAME)
    )


def measure(case: Case, share: float) -> Row:
    """Return the row of a cell."""
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as temporary:
        rival = _theirs(case, share)
        files = {"original": case.model_path, "theirs": rival.path}
        limit = _limit(files, case)
        job, ours = _ours(case, limit, Path(temporary) / "ours.onnx")
        if ours is not None:
            files["ours"] = ours
        return {
            "setting": case.setting.name,
            "share": share,
            "seed": case.seed,
            "steps": total_steps(case),
            "torch_pruning": version("torch-pruning"),
            "round_to": rival.round_to,
            "rate": rival.rate,
            "limit": round(limit, 4),
            "job": job,
            "microseconds": {str(batch): _times(files, case, batch) for batch in BATCHES},
            "macs": {who: macs_of(path) for who, path in files.items()},
            "widths": {who: widths_of(path) for who, path in files.items()},
            "validation": _errors(files, case, "validation"),
            "test": _errors(files, case, "test"),
            "processor_seconds": round(time.process_time() - begun, 1),
        }


def _theirs(case: Case, share: float) -> Rival:
    """Return Torch-Pruning's net, tuned, from the case's folder where it is there."""
    rate = _rate_of(case, share)
    for round_to in ROUNDINGS:
        path = case.model_path.with_name(f"torch-pruning-{share:g}-{round_to}-{rate:g}.onnx")
        if not path.is_file():
            net = pruned_by_them(case.start.copy(), (case.start.inputs,), share, round_to)
            if net is None:
                continue
            Tuner(case.start, rate).cool(net, total_steps(case))
            export(net.eval(), torch.zeros(1, case.start.inputs), path)
        return Rival(path, round_to, rate)
    raise RuntimeError(f"Torch-Pruning cannot cut {case.setting.name} to {share:.0%}")


def _rate_of(case: Case, share: float) -> float:
    """Return the learning rate that suits Torch-Pruning's net, by validation rows, at the level next to the share."""
    found = {
        row["level"]: row["option"]["rate"]
        for row in rows.read("quality")
        if (row["setting"], row["seed"], row["method"]) == (case.setting.name, SEEDS[0], SEARCHED)
    }
    return float(found[min(found, key=lambda level: abs(math.log(level / share)))])


def _limit(files: dict[str, Path], case: Case) -> float:
    """Return Torch-Pruning's time as a share of the original's, beside it; 1 where it is no faster."""
    times = _times(files, case, LIMITED_BATCH)
    return min(1.0, times["theirs"] / times["original"])


def _times(files: dict[str, Path], case: Case, batch: int) -> dict[str, float]:
    times = timed(files, (batch, case.start.inputs), SECONDS)
    return {who: round(1e6 * seconds, 2) for who, seconds in times.items()}


def _ours(case: Case, limit: float, path: Path) -> tuple[Row, Path | None]:
    """Return how a job under this share of the original's time ends, and the file that it chooses, if any."""
    recipe = Recipe(
        target={"max_latency_ms": limit},
        training={"epochs": case.setting.epochs, "device": "cpu"},
        prune={"candidates": 1},
        task="classification",
        seed=case.seed,
    )
    try:
        result = compress(case.model_path, case.data_path, recipe)
    except TargetInfeasible as error:
        return {"outcome": "infeasible", "why": error.detail}, None
    report = result.report.data
    rate = dict(report.recipe["training"])["learning_rate"]
    told = {"outcome": result.outcome, "why": report.outcome_reason, "rate": rate}
    return told, result.chosen.save(path)


def _errors(files: dict[str, Path], case: Case, part: str) -> dict[str, float]:
    return {who: quality.error(case, path.read_bytes(), part) for who, path in files.items()}


if __name__ == "__main__":
    main()
