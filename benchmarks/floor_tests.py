"""Tests of the floor of an accuracy: how often each shows what is true, and how often what is not.

    python -m benchmarks.floor_tests [--draws 2000]

Rows are drawn from known chances that the candidate loses or gains a right answer. Where its true drop is the floor
itself, a test at 95 % may pass in 5 % of the draws; where it is less, the more often the better.
"""

import argparse
from collections.abc import Callable
from functools import cache
from math import ceil, e, exp, log

import numpy as np
from scipy.stats import binom, norm

from benchmarks import rows
from spectral_engine.measure import betting, paired_answers
from spectral_engine.measure.paired_answers import Counts

LEVEL = 0.05
# rows, chance to lose, chance to gain, floor
CASES = [
    (200, 0.025, 0.005, 0.02),
    (1000, 0.012, 0.002, 0.01),
    (1000, 0.03, 0.02, 0.01),
    (5000, 0.03, 0.02, 0.01),
    (200, 0.005, 0.005, 0.02),
    (400, 0.01, 0.01, 0.02),
    (1000, 0.002, 0.0, 0.01),
    (1000, 0.01, 0.01, 0.01),
    (1000, 0.02, 0.02, 0.01),
    (2500, 0.01, 0.01, 0.01),
    (5000, 0.02, 0.016, 0.01),
    (5000, 0.03, 0.03, 0.01),
]
Test = Callable[[np.ndarray, float], float]
exact = cache(paired_answers.p_value)


def exact_unconditional(drops: np.ndarray, floor: float) -> float:
    return exact(Counts(len(drops), int((drops > 0).sum()), int((drops < 0).sum())), floor, LEVEL)


def bets(drops: np.ndarray, floor: float) -> float:
    return betting.p_value(drops, floor, LEVEL)


def hoeffding_bentkus(drops: np.ndarray, floor: float) -> float:
    """Bates et al., J. ACM 68 (2021), on drops moved to [0, 1]."""
    count, mean, bound = len(drops), (float(drops.mean()) + 1) / 2, (floor + 1) / 2
    bentkus = e * float(binom.cdf(ceil(count * mean), count, bound))
    mean = min(mean, bound)
    divergence = mean * log(mean / bound) + (1 - mean) * log((1 - mean) / (1 - bound))
    return min(1.0, bentkus, exp(-count * divergence))


def normal(drops: np.ndarray, floor: float) -> float:
    """Wald's bound: not valid for every number of rows."""
    error = float(drops.std()) / len(drops) ** 0.5
    distance = floor - float(drops.mean())
    return float(norm.sf(distance / error)) if error else float(distance <= 0)


TESTS: dict[str, Test] = {
    "exact_unconditional": exact_unconditional,
    "betting": bets,
    "hoeffding_bentkus": hoeffding_bentkus,
    "normal": normal,
}


def passing(count: int, lost: float, gained: float, floor: float, draws: int) -> dict[str, float]:
    """Return how often each test passes."""
    rng = np.random.default_rng(count)
    passed = dict.fromkeys(TESTS, 0)
    for _ in range(draws):
        drops = rng.choice([1.0, -1.0, 0.0], count, p=[lost, gained, 1 - lost - gained])
        for name, test in TESTS.items():
            passed[name] += test(drops, floor) <= LEVEL
    return {name: total / draws for name, total in passed.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--draws", type=int, default=2000)
    draws = parser.parse_args().draws
    for count, lost, gained, floor in CASES:
        case = {"held_out": count, "lost": lost, "gained": gained, "floor": floor, "draws": draws}
        row = {**case, "passed": passing(count, lost, gained, floor, draws)}
        rows.append("floor_tests", row)
        print(row, flush=True)


if __name__ == "__main__":
    main()
