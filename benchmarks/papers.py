"""Against figures that papers print: the same nets on the same data, all training rows, through the engine.

    python -m benchmarks.papers [--only NAME ...] [--seeds N] [--again]

Goals stand in `GOALS`, with where they are from. Validation rows choose; test rows are read once, for the row.
"""

import argparse
import os
import time
from dataclasses import dataclass

import torch

from benchmarks import rows
from benchmarks.quality import ours
from benchmarks.quality.settings import PERCEPTRON, Setting
from benchmarks.quality.start import prepare
from benchmarks.quality.tuning import error

NAME = "papers"


@dataclass(frozen=True)
class Goal:
    """One setting, what the paper reached, and what is to be reached."""

    setting: Setting
    paper: str
    nodes: int  # hidden nodes that may stay
    accuracy: float  # to be reached, per cent


GOALS = (
    Goal(
        Setting(
            "papers-mnist-3x500", "mnist", f"{PERCEPTRON}-relu", 40, None, "nodes", (0.05,), 20
        ),
        "Buffoni et al. 2022, 95 % removed: 95.94 at best",
        nodes=75,
        accuracy=98.0,
    ),
    Goal(
        Setting(
            "papers-fashion-3x500",
            "fashion_mnist",
            f"{PERCEPTRON}-relu",
            40,
            None,
            "nodes",
            (0.05,),
            20,
        ),
        "Buffoni et al. 2022, 95 % removed: 86.69 at best",
        nodes=75,
        accuracy=88.5,
    ),
    Goal(
        Setting("papers-lenet", "mnist", "300-100-relu", 40, None, "nodes", (0.25,), 20),
        "VIB (RigL's table 2), 71-33 hidden nodes: 98.4",
        nodes=103,
        accuracy=98.4,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="also where a row is there")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    earlier = [] if arguments.again else rows.read(NAME)
    done = {(row["setting"], row["seed"]) for row in earlier}
    for seed in range(arguments.seeds):
        for goal in GOALS:
            name = goal.setting.name
            if (arguments.only and name not in arguments.only) or (name, seed) in done:
                continue
            measure(goal, seed)


def measure(goal: Goal, seed: int) -> None:
    """Train the starting model, compress it to the goal's size, and write the row."""
    setting = goal.setting
    case = prepare(setting, seed)
    begun = time.perf_counter()
    built, model = ours.compress(case, ours.recipe_for(case, setting.levels[0], None))
    start = error(case.start.net, case.start.data.test, regression=False)
    row = {
        "setting": setting.name,
        "paper": goal.paper,
        "seed": seed,
        "epochs": setting.epochs,
        "train_rows": len(case.start.data.train[1]),
        "nodes": built.cost.nodes,
        "nodes_allowed": goal.nodes,
        "widths": ours.widths(case, built),
        "start_accuracy": 100 * (1 - start),
        "validation_accuracy": 100 * (1 - ours.error(case, model, "validation")),
        "accuracy": 100 * (1 - ours.error(case, model, "test")),
        "goal": goal.accuracy,
        "seconds": round(time.perf_counter() - begun, 1),
    }
    rows.append(NAME, row)
    print(row, flush=True)


if __name__ == "__main__":
    main()
