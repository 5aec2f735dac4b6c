"""Rank the inputs of trained models by every method and measure each ranking by deletion curves.

python -m benchmarks.input_relevance.run                    test rows, once; adds the rows of RESULTS.md
python -m benchmarks.input_relevance.run --on validation    to choose by; prints alone

Rankings come from 1,024 training rows, whatever rows the curves are taken on. Seconds are the processor's.
"""

import argparse
import time

import numpy as np
import torch
from torch import Tensor

from benchmarks import rows
from benchmarks.input_relevance.curves import areas
from benchmarks.input_relevance.ours import OURS
from benchmarks.input_relevance.peers import PEERS
from benchmarks.input_relevance.retrain import retrained
from benchmarks.input_relevance.start import Case, prepare

NAME = "input_relevance"
TABLES = ("california_housing", "spam", "letter", "satellite", "adult")
IMAGES = ("mnist", "fashion_mnist")
METHODS = {**OURS, **PEERS}


def measure(case: Case, on: str) -> dict[str, object]:
    """Return one row: every method's areas, retrained metric and seconds."""
    measured = case.data.test if on == "test" else case.data.validation
    by_method = {name: _timed(name, case) for name in METHODS}
    rankings = {name: ranking for name, (ranking, _) in by_method.items()}
    again = retrained(case, rankings, measured)
    methods = {}
    for name, (ranking, seconds) in by_method.items():
        curves = areas(case, ranking, measured)
        methods[name] = {
            "removed": curves.removed,
            "kept": curves.kept,
            "retrained": again[name],
            "seconds": seconds,
        }
    return {
        "data": case.data.name,
        "seed": case.seed,
        "features": case.features,
        "model": _metric(case, measured),
        "methods": methods,
    }


def _timed(name: str, case: Case) -> tuple[Tensor, float]:
    started = time.process_time()
    ranking = METHODS[name](case)
    return ranking, time.process_time() - started


@torch.no_grad()
def _metric(case: Case, measured: tuple[np.ndarray, np.ndarray]) -> float:
    return case.metric(case.answers(torch.from_numpy(measured[0])).numpy(), measured[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="+", default=[*TABLES, *IMAGES])
    parser.add_argument("--on", choices=["test", "validation"], default="test")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    METHODS["ours"](prepare("spam", 0))  # the first call of anything is slow
    for name in asked.data:
        for seed in range(asked.seeds):
            row = measure(prepare(name, seed), asked.on)
            print(row, flush=True)
            if asked.on == "test":
                rows.append(NAME, row)


if __name__ == "__main__":
    main()
