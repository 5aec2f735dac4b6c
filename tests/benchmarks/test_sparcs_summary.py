"""What is said of SPARCS's rows is what they say."""

import pytest

from benchmarks.sparcs import summary


def of_method(method, level, test, seed=0, **more):
    row = {"setting": "letter", "seed": seed, "method": method, "level": level, "test": test}
    return row | {"params": 100} | more


def test_ratios_are_of_mean_errors_cell_by_cell_and_vanished_layers_are_counted():
    rows = [
        of_method("not compressed", 1.0, 0.01),
        *(of_method("ours", 0.2, 0.1 + seed / 10, seed) for seed in range(2)),
        *(of_method("SPARCS", 0.2, 0.3, seed, alive=[0, 7]) for seed in range(2)),
        of_method("ours", 0.05, 0.4),
        of_method("SPARCS", 0.05, 0.1, alive=[3, 7]),
    ]
    mean, lower, count = summary.ratio_to(rows, "SPARCS", "ours")
    assert mean == pytest.approx((2 * 0.25) ** 0.5)
    assert (lower, count) == (1, 2)
    assert "2 of 6 searched layers vanished whole" in summary.in_words(rows)
    assert "**10.00**" in summary.by_cell(rows)[2]
