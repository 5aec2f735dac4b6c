"""How often a model handed back as within the floor is truly worse: over many splits, for each of several rules.

    python -m benchmarks.certificate [--splits 200] [--parts real same asymptotic pooled] [--held-out 200 1000 5000]

real: candidates of real compressions. Most of the data set is never trained on and stands for all rows there are, so
that the true drop of each candidate is known; validation and held-out rows are drawn from it. Floors: what a user would
ask for, and the worst case, where one candidate is worse than the floor by next to nothing.
same: eight candidates that are all worse than the floor by next to nothing, independent of each other.
asymptotic: metrics that are no mean over rows, each at the floor itself.
pooled: the same for mean IoU, character error rate and average precision, on populations that are made up.
EIGENPRESS_BENCH_SEED=1 draws other splits.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import exp, log

import numpy as np

from benchmarks import rows
from benchmarks.certificate.populations import population
from benchmarks.certificate.rules import RULES, Draw, option
from benchmarks.certificate.synthetic import POPULATIONS, pair
from spectral_engine.evaluation.evaluation import ONE_STANDARD_ERROR
from spectral_engine.measure.bootstrap import Pair, resample
from spectral_engine.measure.paired_answers import Counts, p_value
from spectral_engine.measure.statistics import paired_proportions

CONFIDENCE = 0.95
SEED = int(os.environ.get("EIGENPRESS_BENCH_SEED", "0"))  # of the splits, not of the models
HELD_OUT = (200, 1000, 5000)
FLOORS = (0.005, 0.01, 0.02)
NEXT_TO_NOTHING = 1e-9
CLASSIFIED = ("letter", "mnist", "adult")
ASYMPTOTIC = {
    "adult": ("balanced_accuracy", "f1_macro", "auc"),
    "california_housing": ("r2", "mse", "mae"),
}
SYNTHETIC_WIDTHS = (100, 70, 50, 35, 25, 18, 12, 8)
Sample = Callable[[np.random.Generator, int], np.ndarray]  # right answers [models, rows]

exact = cache(p_value)


def real(splits: int, sizes: Sequence[int]) -> Iterator[dict[str, object]]:
    """Return rows for real candidates."""
    for name in CLASSIFIED:
        models = population(name)
        right = models.right()
        drops = right[0].mean() - right[1:].mean(axis=1)
        for floor, worst in floors(drops):
            for held_out in sizes:
                draw = _sampler(right)
                counted = simulate(draw, models.nodes, drops, floor, held_out, splits)
                yield _row("real", name, "accuracy", floor, worst, held_out, splits, counted)


def floors(drops: np.ndarray) -> list[tuple[float, bool]]:
    """Return what one asks for, and a hair less than the true drop of each candidate that has one."""
    worst = [float(drop) - NEXT_TO_NOTHING for drop in drops if 1e-3 < drop < 0.1]
    return [(floor, False) for floor in FLOORS] + [(floor, True) for floor in sorted(worst)[:3]]


def same(splits: int, sizes: Sequence[int]) -> Iterator[dict[str, object]]:
    """Return rows for candidates that are all just worse than the floor."""
    nodes = np.array([150, *SYNTHETIC_WIDTHS])
    for floor in (0.01, 0.02):
        for held_out in sizes:
            draw = _synthetic(lost=floor + 0.01, gained=0.01)
            drops = np.full(len(SYNTHETIC_WIDTHS), floor + NEXT_TO_NOTHING)
            counted = simulate(draw, nodes, drops, floor, held_out, splits)
            yield _row("same", "synthetic", "accuracy", floor, True, held_out, splits, counted)


def simulate(
    draw: Sample, nodes: np.ndarray, drops: np.ndarray, floor: float, held_out: int, splits: int
) -> dict[str, dict[str, float]]:
    """Return what each rule did: how often it handed a model back, how often a worse one, which nodes were left."""
    rng = np.random.default_rng([held_out, round(floor * 1e6), SEED])
    returned: dict[str, list[int | None]] = {name: [] for name in RULES}
    for _ in range(splits):
        one = _draw(draw(rng, held_out), draw(rng, held_out), nodes, floor)
        for name, rule in RULES.items():
            returned[name].append(rule(one))
    return {name: _count(choices, nodes, drops, floor) for name, choices in returned.items()}


def _count(
    choices: list[int | None], nodes: np.ndarray, drops: np.ndarray, floor: float
) -> dict[str, float]:
    given = [index for index in choices if index is not None]
    left = [nodes[0] if index is None else nodes[index + 1] for index in choices]
    return {
        "worse": sum(bool(drops[index] > floor) for index in given) / len(choices),
        "returned": len(given) / len(choices),
        "nodes": exp(sum(map(log, left)) / len(left)) / float(nodes[0]),
    }


def _sampler(right: np.ndarray) -> Sample:
    return lambda rng, count: right[:, rng.integers(0, right.shape[1], count)]


def _synthetic(lost: float, gained: float) -> Sample:
    """Return right answers of a baseline that guesses, and of candidates that lose and gain independently."""

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        base = rng.integers(0, 2, count)
        change = rng.random((len(SYNTHETIC_WIDTHS), count))
        flips = np.where(base == 1, change < 2 * lost, change < 2 * gained)
        return np.concatenate([base[None], np.where(flips, 1 - base, base)]).astype(float)

    return draw


def _draw(validation: np.ndarray, held_out: np.ndarray, nodes: np.ndarray, floor: float) -> Draw:
    level = 1 - CONFIDENCE
    options = [
        option(
            int(width),
            float(validation[0].mean() - after.mean()),
            paired_proportions(validation[0], after, ONE_STANDARD_ERROR)[1],
        )
        for width, after in zip(nodes[1:], validation[1:], strict=True)
    ]
    before = held_out[0]
    counts = [
        Counts(len(before), int((before > after).sum()), int((before < after).sum()))
        for after in held_out[1:]
    ]
    drops = [(one.lost - one.gained) / one.rows for one in counts]
    return Draw(options, drops, [exact(one, floor, level) for one in counts], floor, level)


def asymptotic(splits: int, sizes: Sequence[int]) -> Iterator[dict[str, object]]:
    """Return rows for metrics that are resampled: how often the candidate that drops most is shown at its own drop."""
    for name, metrics in ASYMPTOTIC.items():
        models = population(name)
        for metric in metrics:
            drops = [models.pair(index, metric).drop() for index in range(len(models.nodes) - 1)]
            worst = int(np.argmax(drops))
            for held_out in sizes:
                missed = _missed(models.pair(worst, metric), held_out, splits)
                counted = {"certified": {"worse": missed, "returned": missed, "nodes": 1.0}}
                floor = drops[worst]
                yield _row("asymptotic", name, metric, floor, True, held_out, splits, counted)


def pooled(splits: int, sizes: Sequence[int]) -> Iterator[dict[str, object]]:
    """Return rows for figures that are pooled over masks, texts and boxes, tested at their own drop."""
    for name, (metric, _) in POPULATIONS.items():
        whole = pair(name)
        for held_out in sizes:
            missed = _missed(whole, held_out, splits)
            counted = {"certified": {"worse": missed, "returned": missed, "nodes": 1.0}}
            yield _row("asymptotic", name, metric, whole.drop(), True, held_out, splits, counted)


def _missed(whole: Pair, held_out: int, splits: int) -> float:
    truth, rng = whole.drop(), np.random.default_rng([held_out, SEED])
    missed = 0
    for seed in range(splits):
        drawn = rng.integers(0, whole.rows, held_out)
        missed += resample(whole.take(drawn), seed).p_value(truth) <= 1 - CONFIDENCE
    return missed / splits


def _row(part: str, data: str, metric: str, floor: float, worst: bool, *rest) -> dict[str, object]:
    held_out, splits, counted = rest
    return {
        "part": part,
        "data": data,
        "metric": metric,
        "floor": floor,
        "worst_case": worst,
        "held_out": held_out,
        "splits": splits,
        "seed": SEED,
        "confidence": CONFIDENCE,
        "rules": counted,
    }


PARTS = {"real": real, "same": same, "asymptotic": asymptotic, "pooled": pooled}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--held-out", type=int, nargs="+", default=list(HELD_OUT))
    arguments = parser.parse_args()
    for part in arguments.parts:
        for row in PARTS[part](arguments.splits, arguments.held_out):
            rows.append("certificate", row)
            print(row, flush=True)


if __name__ == "__main__":
    main()
