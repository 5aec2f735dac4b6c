"""What it costs in error that a short training takes one bite a step, and their means from one batch.

    python -m benchmarks.quality.short [--cells NAME ...] [--seeds 12]

The same job twice, by all defaults, in trainings of 10 to 124 steps: as it was (every bite by itself, and means from
1,024 rows), and as it is (bites between the same two steps are one, and means come from the next batch from 50 steps
on). One candidate; training rows, rate and seed are the same. Prints the geometric mean of the ratio of errors, as it
is over as it was, with its standard error, for each cell and for all.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np
import torch

from benchmarks import rows
from benchmarks.quality import ours
from benchmarks.quality.settings import SMALL, Setting
from benchmarks.quality.start import prepare
from spectral_engine.methods import run
from spectral_engine.methods.prune import plan

NAME = "short"
FIRST_SEED = 10  # seeds below chose what is tried here
STEPS_ENOUGH_BEFORE = 200
FEW_ROWS = Setting(
    "short-letter", "letter", "200-200-relu", 1, 1_280, levels=(0.4,), start_epochs=60
)
SETTINGS = {setting.name: setting for setting in (*SMALL, FEW_ROWS)}


@dataclass(frozen=True)
class Cell:
    """One short training: a setting, for so many epochs, to a level."""

    setting: str
    epochs: int
    level: float


CELLS = {
    "letter, 10 steps": Cell("short-letter", 1, 0.4),
    "letter, 31 steps": Cell("small-letter-2x200-relu", 1, 0.3),
    "letter, 62 steps": Cell("small-letter-2x200-relu", 2, 0.2),
    "letter, 124 steps": Cell("small-letter-2x200-relu", 4, 0.2),
    "mnist, 62 steps": Cell("small-mnist-3x500-relu", 2, 0.1),
    "vgg, 60 steps, 25 %": Cell("small-mnist-vgg", 4, 0.25),
    "vgg, 60 steps, 10 %": Cell("small-mnist-vgg", 4, 0.1),
}


def main() -> None:
    """Write a row for each pair of jobs that is not there yet, and print what all of them say."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cells", nargs="*", choices=CELLS, default=list(CELLS))
    parser.add_argument("--seeds", type=int, default=12)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    done = {(row["cell"], row["seed"]) for row in rows.read(NAME)}
    for seed in range(FIRST_SEED, FIRST_SEED + asked.seeds):
        for name in asked.cells:
            if (name, seed) not in done:
                rows.append(NAME, measure(name, seed))
    for name in CELLS:
        print(name, summary([row for row in rows.read(NAME) if row["cell"] == name]))
    print("all", summary(rows.read(NAME)))


def measure(name: str, seed: int) -> dict[str, object]:
    """Return the errors of both jobs."""
    cell = CELLS[name]
    case = prepare(SETTINGS[cell.setting], seed)
    case.setting = replace(case.setting, epochs=cell.epochs)
    recipe = ours.recipe_for(case, cell.level, None)
    _, now = ours.compress(case, recipe)
    with as_before():
        _, before = ours.compress(case, recipe)
    errors = {
        part: {"before": ours.error(case, before, part), "now": ours.error(case, now, part)}
        for part in ("validation", "test")
    }
    return {"cell": name, "seed": seed, **errors}


@contextmanager
def as_before() -> Iterator[None]:
    """Take every bite by itself, and the means of all from many rows."""
    with (
        patch.object(plan, "one_bite_a_step", lambda events: events),
        patch.object(run, "STEPS_ENOUGH", STEPS_ENOUGH_BEFORE),
    ):
        yield


def summary(measured: list[dict[str, dict[str, float]]]) -> str:
    """Return the geometric mean of the ratios of errors, with its standard error, on both parts."""
    if len(measured) < 2:
        return f"{len(measured)} pairs"
    said = []
    for part in ("validation", "test"):
        logs = np.log([row[part]["now"] / row[part]["before"] for row in measured])
        error = logs.std(ddof=1) / np.sqrt(len(logs))
        said.append(f"{part} {np.exp(logs.mean()):.3f} ± {error:.3f}")
    return f"{', '.join(said)} ({len(measured)} pairs)"


if __name__ == "__main__":
    main()
