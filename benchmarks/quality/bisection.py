"""What a job with a floor and no budget would hand back if only some of its candidates were finished.

    python -m benchmarks.quality.bisection [--settings NAME ...] [--seeds 3]

Each job is run once, and each of its eight candidates is cooled twice: for all of the steps, and for a third of them.
So every rule can be tried afterwards on the same candidates: which are finished, what the usual choice then hands back
on held-out rows, with tests of all or of those that are finished, and what share of the cooling is left. Rules: all are
finished; the three or four around the narrowest whose short cooling keeps the floor on validation rows; and a
bisection, whose every probe is finished and keeps the floor as measured, or by one or two standard errors more.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import rows
from benchmarks.quality.settings import SETTINGS, SMALL
from benchmarks.quality.start import Case
from benchmarks.quality.start import prepare as prepare_case
from spectral_engine.cost.budget import Budget, Cost
from spectral_engine.cost.removal import RemovalPlan
from spectral_engine.evaluation.evaluation import Evaluation
from spectral_engine.judging.choice import Option, choose
from spectral_engine.judging.fixed_sequence import (
    fixed_sequence_test,
    narrowest_shown,
    order_of_tests,
)
from spectral_engine.methods.annealing import anneal
from spectral_engine.methods.candidate import Built
from spectral_engine.methods.policy import policy_of
from spectral_engine.methods.prune.plan import SHORT_COOLING
from spectral_engine.methods.run import CompressionRun
from spectral_engine.planning import plan, start_trainer
from spectral_engine.preparation.prepare import PreparedJob, prepare
from spectral_engine.records.progress import ignore
from spectral_engine.records.recipe import Recipe

NAME = "bisection"
FLOORS = (0.005, 0.01, 0.02, 0.05)
LEVEL = 0.05
CANDIDATES = 8
Level = dict[str, dict[str, Any]]  # "short" and "full": one candidate, cooled in two ways
Rule = Callable[[Sequence[Level], float], set[int]]  # levels and floor -> which are finished

_ALL = {setting.name: setting for setting in (*SETTINGS, *SMALL)}
CELLS = {
    "letter": _ALL["small-letter-2x200-relu"],
    "satellite": replace(_ALL["satellite-2x200-relu"], epochs=15),
    "spam": replace(_ALL["spam-2x200-relu"], epochs=15),
    "mnist": _ALL["small-mnist-3x500-relu"],
}


def main() -> None:
    """Write a row for each job that is not there yet, and print what each rule would do."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--settings", nargs="*", choices=CELLS, default=list(CELLS))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    done = {(row["setting"], row["seed"]) for row in rows.read(NAME)}
    for seed in range(asked.seeds):
        for name in asked.settings:
            if (name, seed) not in done:
                rows.append(NAME, {"setting": name, "seed": seed, "levels": collect(name, seed)})
    jobs = [row["levels"] for row in rows.read(NAME)]
    for tests_all in (True, False):
        print("all are tested" if tests_all else "those that are finished are tested")
        for title in RULES:
            print(f"{title}: {summary(title, jobs, tests_all=tests_all)}")


def collect(name: str, seed: int) -> list[Level]:
    """Run one job; return its candidates from wide to narrow."""
    case = prepare_case(CELLS[name], seed)
    recipe = Recipe.parse(
        {
            "method": "prune",
            "seed": seed,
            "target": {"max_metric_drop": FLOORS[0]},
            "training": {"epochs": case.setting.epochs, "device": "cpu"},
            "prune": {"candidates": CANDIDATES},
        }
    )
    with tempfile.TemporaryDirectory(prefix="bisection-") as folder:
        job = prepare(case.model_path, _data(case, Path(folder)), recipe)
        run = CooledTwice(job, Path(folder))
        run.run()
        return run.levels


def _data(case: Case, folder: Path) -> Path:
    """Write the three parts: here the test rows are held out, and read for that alone."""
    path, data = folder / "data.npz", case.start.data
    parts = {"train": data.train, "val": data.validation, "test": data.test}
    arrays = {f"x_{name}": x for name, (x, _) in parts.items()}
    np.savez(path, **arrays, **{f"y_{name}": y for name, (_, y) in parts.items()})
    return path


class CooledTwice(CompressionRun):
    """Cools each candidate for a third of the steps as well, and reads both."""

    def __init__(self, job: PreparedJob, folder: Path) -> None:
        planned = plan(job, folder, ignore, resumable=False)
        policy = policy_of(planned.recipe)
        super().__init__(planned, policy(planned), lambda: start_trainer(job, planned.feed))
        self.levels: list[Level] = []
        self.judges = {floor: _with_floor(job, floor) for floor in FLOORS}

    def _branch(self, level: int, removal: RemovalPlan, steps: int) -> None:
        few = max(1, round(steps * SHORT_COOLING))
        twin = self.trainer.fork()
        anneal(twin, self.plan, self.state.rate, few, _quiet)
        self._keep(level, twin, removal, few)
        short = self._read(self.built.pop())
        super()._branch(level, removal, steps)
        self.levels.append({"short": short, "full": self._read(self.built[-1])})

    def _read(self, built: Built) -> dict[str, Any]:
        drop = self.plan.drop_of(built.opened)
        held_out = {floor: judge.held_out(built.opened) for floor, judge in self.judges.items()}
        evidence = {floor: item.evidence for floor, item in held_out.items()}
        return {
            "drop": drop.value,
            "careful_drop": drop.interval.high,
            "p_values": {str(floor): item.p_value for floor, item in evidence.items() if item},
            "nodes": built.cost.nodes,
            "macs": built.cost.macs,
            "params": built.cost.params,
        }


def _quiet(step: int, loss: float) -> None:
    """Tell nobody."""


def _with_floor(job: PreparedJob, floor: float) -> Evaluation:
    target = job.recipe.target.model_copy(update={"max_metric_drop": floor})
    recipe = job.recipe.model_copy(update={"target": target})
    return Evaluation(job.meaning, job.original, job.splits, recipe)


# Rules: which candidates are finished.


def everything(levels: Sequence[Level], floor: float) -> set[int]:
    """Finish all."""
    del floor
    return set(range(len(levels)))


def around_the_floor(count: int) -> Rule:
    """Finish those next to the narrowest whose short cooling keeps the floor, rather narrower ones than wider ones."""

    def rule(levels: Sequence[Level], floor: float) -> set[int]:
        kept = [i for i, level in enumerate(levels) if level["short"]["drop"] <= floor]
        middle = max(kept, default=-1) + count / 2 - 0.4
        return set(sorted(range(len(levels)), key=lambda i: abs(i - middle))[:count])

    return rule


def bisection(errors: float) -> Rule:
    """Finish what a bisection probes: the drop and so many standard errors are at most the floor, or they are not."""

    def rule(levels: Sequence[Level], floor: float) -> set[int]:
        wide, narrow, probed = -1, len(levels), set()
        while narrow - wide > 1:
            middle = (wide + narrow) // 2
            probed.add(middle)
            probe = levels[middle]["full"]
            drop = probe["drop"] + errors * (probe["careful_drop"] - probe["drop"])
            wide, narrow = (middle, narrow) if drop <= floor else (wide, middle)
        return probed

    return rule


RULES: dict[str, Rule] = {
    "all": everything,
    "three by short coolings": around_the_floor(3),
    "four by short coolings": around_the_floor(4),
    "bisection": bisection(0),
    "bisection by one standard error": bisection(1),
    "bisection by two": bisection(2),
}
READ_SHORT = {
    "three by short coolings",
    "four by short coolings",
}  # what they finish cooled shortly before


def handed_back(
    levels: Sequence[Level], finished: set[int], floor: float, *, tests_all: bool
) -> tuple[int, bool]:
    """Return the candidate that the usual choice hands back, and whether held-out rows show its floor.

    `tests_all` says whether those that are not finished are tested as well.
    """
    seen = [level["full" if i in finished else "short"] for i, level in enumerate(levels)]
    options = [
        Option(
            Cost(nodes=item["nodes"], macs=item["macs"], params=item["params"]),
            item["drop"],
            item["careful_drop"],
        )
        for item in seen
    ]
    order = [i for i in order_of_tests(options, Budget({})) if tests_all or i in finished]
    passed = [item["p_values"][str(floor)] <= LEVEL for item in seen]
    shown = narrowest_shown(order, fixed_sequence_test(order, passed))
    return (choose(options, Budget({}), floor), False) if shown is None else (shown, True)


def cooling(levels: Sequence[Level], finished: set[int], *, read_short: bool) -> float:
    """Return the share that is left of the cooling, by multiply-adds."""
    sizes = np.array([level["full"]["macs"] for level in levels], dtype=float)
    whole = 1.0 + SHORT_COOLING * read_short
    shares = [whole if i in finished else SHORT_COOLING for i in range(len(levels))]
    return float(sizes @ shares / sizes.sum())


def summary(title: str, jobs: Sequence[Sequence[Level]], *, tests_all: bool) -> str:
    """Say what a rule does beside finishing all."""
    shown = lost = won = 0
    ratios, shares = [], []
    for levels, floor in itertools.product(jobs, FLOORS):
        finished = RULES[title](levels, floor)
        chosen, is_shown = handed_back(levels, finished, floor, tests_all=tests_all)
        everyone = everything(levels, floor)
        usual, was_shown = handed_back(levels, everyone, floor, tests_all=True)
        shown += is_shown
        lost += was_shown and not is_shown
        won += is_shown and not was_shown
        if is_shown and was_shown:
            ratios.append(levels[chosen]["full"]["macs"] / levels[usual]["full"]["macs"])
        shares.append(cooling(levels, finished, read_short=title in READ_SHORT))
    wider = float(np.exp(np.log(ratios).mean())) if ratios else float("nan")
    return (
        f"{shown} of {len(shares)} floors shown, {lost} lost, {won} won; multiply-adds of those shown both ways "
        f"{wider:.2f} times; {np.mean(shares):.2f} of the cooling"
    )


if __name__ == "__main__":
    main()
