"""The bar is computed as it is stated."""

import math

import pytest

from benchmarks.quality.report import Rule, bar, is_worse, scores_of, write_page


def row(method, level, seed, test, validation=None):
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
        "validation": test if validation is None else validation,
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
    comparison = bar(cells, Rule("", control=True))
    assert comparison.mean == pytest.approx(math.sqrt((0.021 / 0.03) * (0.08 / 0.041)))
    assert (comparison.cells, comparison.worse) == (2, [("digits", 0.1)])
    assert bar(cells).mean == pytest.approx(math.sqrt((0.021 / 0.04) * (0.08 / 0.041)))


def test_a_peer_can_be_picked_by_validation_rows_instead_of_test_rows():
    lucky = [row("random, one-shot", 0.5, seed, 0.03, validation=0.05) for seed in range(3)]
    cells = scores_of([*ROWS, *lucky])
    assert bar(cells).mean == pytest.approx(math.sqrt((0.021 / 0.03) * (0.08 / 0.041)))
    by_validation = bar(cells, Rule("", by="validation"))
    assert by_validation.mean == pytest.approx(math.sqrt((0.021 / 0.04) * (0.08 / 0.041)))


def test_a_cell_is_worse_only_beyond_two_standard_errors():
    cells = scores_of(ROWS)
    assert not is_worse(cells["digits", 0.5]["ours"], cells["digits", 0.5]["ours, dense form"])


def test_a_row_written_twice_counts_once_and_a_failure_is_shown():
    again = [*ROWS, row("ours", 0.1, 0, 0.08), row("random, one-shot", 0.5, 0, 0.5)]
    assert scores_of(again)["digits", 0.1]["ours"].seeds == 3
    assert "| random, one-shot | 50.00 | failed |" in write_page(again, "quality")


def test_a_cell_that_ours_has_not_been_measured_in_is_not_counted():
    cells = scores_of([*ROWS, row("l2, one-shot", 0.02, 0, 0.3)])
    assert bar(cells).cells == 2


def test_every_cell_is_listed_the_worst_first_with_how_many_methods_tie():
    lines = write_page(ROWS, "quality").splitlines()
    listed = [line for line in lines if line.startswith("| digits |")]
    assert [line.split(" | ")[1] for line in listed] == ["10 %", "50 %"]
    assert listed[0].endswith("| yes | 1 of 2 |")
    assert listed[1].endswith("| 0.53 |  | 1 of 3 |")


def test_each_peer_is_compared_over_all_cells_that_it_shares_with_ours():
    page = write_page(ROWS, "quality")
    assert f"| l2, one-shot | 2 | {math.sqrt((0.021 / 0.04) * (0.08 / 0.041)):.3f} |" in page
    assert f"| ours, dense form | 1 | {0.021 / 0.03:.3f} |" in page
