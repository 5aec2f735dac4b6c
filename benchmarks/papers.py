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


WIDE = "1568-1568-1568-relu"  # twice as many nodes as pixels


@dataclass(frozen=True)
class Goal:
    """One setting, what the paper reached, and what is to be reached."""

    setting: Setting
    paper: str
    accuracy: float  # to be reached, per cent
    nodes: int | None = None  # hidden nodes that may stay; None where links are removed


def _nodes(name: str, data: str, net: str, *, kept: float, epochs: int) -> Setting:
    return Setting(f"papers-{name}", data, net, epochs, None, "nodes", (kept,), 20)


def _links(name: str, data: str) -> Setting:
    return Setting(f"papers-{name}", data, WIDE, 15, None, "links", (0.99,), 10)


BUFFONI = "Buffoni et al. 2022, 95 % removed"
CHTS = "CHTs paper (arXiv 2501.19107), best of its methods at 99 % sparsity, 100 epochs"
GOALS = (
    Goal(
        _nodes("mnist-3x500", "mnist", f"{PERCEPTRON}-relu", kept=0.05, epochs=40),
        f"{BUFFONI}: 95.94 at best",
        accuracy=98.0,
        nodes=75,
    ),
    Goal(
        _nodes("fashion-3x500", "fashion_mnist", f"{PERCEPTRON}-relu", kept=0.05, epochs=40),
        f"{BUFFONI}: 86.69 at best",
        accuracy=88.5,
        nodes=75,
    ),
    Goal(
        _nodes("lenet", "mnist", "300-100-relu", kept=103 / 400, epochs=80),
        "VIB (RigL's table 2), 71-33 hidden nodes: 98.4",
        accuracy=98.4,
        nodes=103,
    ),
    Goal(_links("mnist-3x1568-links", "mnist"), f"{CHTS}: 98.83", accuracy=98.83),
    Goal(_links("fashion-3x1568-links", "fashion_mnist"), f"{CHTS}: 90.93", accuracy=90.93),
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
        "resource": setting.resource,
        "level": setting.levels[0],
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
