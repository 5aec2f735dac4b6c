"""What it costs in error that the means of a small bite come from one batch, and not from 1,024 rows.

    python -m benchmarks.quality.means [--seeds 12]

The same job twice, by all defaults: each bite tells the means of what goes from many rows, or from the next batch. One
candidate; training rows, rate and seed are the same. Prints the geometric mean of the ratio of errors, one batch over
many rows, with its standard error.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np
import torch

from benchmarks import rows
from benchmarks.quality import ours
from benchmarks.quality.settings import SMALL
from benchmarks.quality.start import prepare
from spectral_engine.methods import run

NAME = "means"
FIRST_SEED = 10  # seeds below chose what is tried here
CELLS = (
    ("small-letter-2x200-relu", 0.1),
    ("small-letter-2x200-relu", 0.2),
    ("small-mnist-3x500-relu", 0.05),
)
BITES = {"many rows": 0.0, "one batch": run.SMALL_BITE}


def main() -> None:
    """Write a row for each pair of jobs that is not there yet, and print what all of them say."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=12)
    seeds = range(FIRST_SEED, FIRST_SEED + parser.parse_args().seeds)
    torch.set_num_threads(1)
    done = {(row["setting"], row["level"], row["seed"]) for row in rows.read(NAME)}
    for seed in seeds:
        for name, level in CELLS:
            if (name, level, seed) not in done:
                rows.append(NAME, measure(name, level, seed))
    for part in ("validation", "test"):
        print(part, summary(rows.read(NAME), part))


def measure(name: str, level: float, seed: int) -> dict[str, object]:
    """Return the errors of both jobs."""
    case = prepare(next(setting for setting in SMALL if setting.name == name), seed)
    errors: dict[str, dict[str, float]] = defaultdict(dict)
    for means, bite in BITES.items():
        run.SMALL_BITE = bite
        _, model = ours.compress(case, ours.recipe_for(case, level, None))
        for part in ("validation", "test"):
            errors[part][means] = ours.error(case, model, part)
    return {"setting": name, "level": level, "seed": seed, **errors}


def summary(measured: list[dict[str, dict[str, float]]], part: str) -> str:
    """Return the geometric mean of the ratios of errors, with its standard error."""
    logs = np.log([row[part]["one batch"] / row[part]["many rows"] for row in measured])
    error = logs.std(ddof=1) / np.sqrt(len(logs))
    return f"{np.exp(logs.mean()):.3f} ± {error:.3f} ({len(logs)} pairs)"


if __name__ == "__main__":
    main()
