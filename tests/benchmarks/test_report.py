"""The bar is computed as it is stated."""

import math

import pytest

from benchmarks.quality.report import bar, is_worse, scores_of, write_page


def row(method, level, seed, test):
    return {
        "setting": "digits",
        "data": "digits",
        "net": "9-relu",
        "resource": "nodes",
        "train_rows": 10,
        "epochs": 1,
        "seed": seed,
        "method": method,
        "level": level,
        "test": test,
    }


ROWS = [
    row("not compressed", 1.0, 0, 0.01),
    *(row("ours", 0.5, seed, 0.02 + seed * 0.001) for seed in range(3)),
    *(row("l2, one-shot", 0.5, seed, 0.04) for seed in range(3)),
    *(row("ours, dense form", 0.5, seed, 0.03) for seed in range(3)),
    *(row("ours", 0.1, seed, 0.08) for seed in range(3)),
    *(row("l2, one-shot", 0.1, seed, 0.04 + seed * 0.001) for seed in range(3)),
]


def test_the_bar_is_the_geometric_mean_of_ratios_to_each_cells_best_peer():
    cells = scores_of(ROWS)
    mean, worse = bar(cells, control=True)
    assert mean == pytest.approx(math.sqrt((0.021 / 0.03) * (0.08 / 0.041)))
    assert worse == [("digits", 0.1)]
    without, _ = bar(cells, control=False)
    assert without == pytest.approx(math.sqrt((0.021 / 0.04) * (0.08 / 0.041)))


def test_a_cell_is_worse_only_beyond_two_standard_errors():
    cells = scores_of(ROWS)
    assert not is_worse(cells["digits", 0.5]["ours"], cells["digits", 0.5]["ours, dense form"])


def test_a_row_written_twice_counts_once_and_a_failure_is_shown():
    again = [*ROWS, row("ours", 0.1, 0, 0.08), row("random, one-shot", 0.5, 0, 0.5)]
    assert scores_of(again)["digits", 0.1]["ours"].seeds == 3
    assert "| random, one-shot | 50.00 | failed |" in write_page(again, "quality")
