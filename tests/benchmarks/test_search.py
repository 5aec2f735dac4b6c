"""The search of a method's options, and the row it leads to."""

from types import SimpleNamespace

import pytest

from benchmarks.quality.cell import Cell
from benchmarks.quality.methods import Fitted, Method
from benchmarks.quality.search import climb

RATES = (1e-3, 3e-3, 1e-2, 3e-2)


@pytest.mark.parametrize("lowest", RATES)
def test_the_walk_finds_the_lowest_point_of_a_valley(lowest):
    best = climb(
        {"rate": RATES}, lambda option: abs(RATES.index(option["rate"]) - RATES.index(lowest))
    )
    assert best == {"rate": lowest}


def test_other_knobs_are_tried_at_the_best_rate():
    asked = []

    def error(option):
        asked.append(dict(option))
        return abs(option["rate"] - 3e-3) + (option["scope"] == "layer")

    best = climb({"rate": RATES, "scope": ("layer", "all")}, error)
    assert best == {"rate": 3e-3, "scope": "all"}
    assert [o["rate"] for o in asked if o["scope"] == "all"] == [3e-3]
    assert len(asked) == len({tuple(o.values()) for o in asked})  # nothing is measured twice


def test_a_flat_field_stays_where_it_begins():
    assert climb({"rate": RATES, "scope": ("layer", "all")}, lambda _: 0.5) == {
        "rate": 1e-2,
        "scope": "layer",
    }


def cell_with(errors, before=None):
    """A cell whose method has these validation errors, rate -> error; test errors are ten times as high."""
    fits = []

    def fit(case, level, option, shared):
        fits.append(option["rate"])
        value = errors[option["rate"]]
        if value is None:
            raise ValueError("diverged")
        return Fitted(lambda part: value * (10 if part == "test" else 1), 5, 6, [5])

    setting = SimpleNamespace(name="s", data="d", net="n", resource="nodes", epochs=1)
    start = SimpleNamespace(data=SimpleNamespace(train=([], [])))
    case = SimpleNamespace(setting=setting, start=start, seed=0)
    return Cell(case, Method("m", {"rate": RATES}, fit), 0.5, {}, before), fits


def test_the_row_has_the_test_error_of_the_best_option_and_all_that_was_tried():
    cell, _ = cell_with({1e-3: 0.4, 3e-3: 0.2, 1e-2: 0.3, 3e-2: None})
    row = cell.measure({"rate": RATES})
    assert (row["option"], row["validation"], row["test"]) == ({"rate": 3e-3}, 0.2, 2.0)
    assert [entry["option"]["rate"] for entry in row["tried"]] == [1e-2, 3e-2, 3e-3, 1e-3]
    assert "diverged" in row["tried"][1]["problem"]


def test_a_second_run_fits_nothing_again():
    errors = {1e-3: 0.4, 3e-3: 0.2, 1e-2: 0.3, 3e-2: 0.5}
    row = cell_with(errors)[0].measure({"rate": RATES})
    again, fits = cell_with(errors, before=row)
    assert again.measure({"rate": RATES}) is None
    assert fits == []


def test_a_wider_grid_keeps_the_earlier_result_where_that_is_better():
    errors = {1e-3: 0.4, 3e-3: 0.3, 1e-2: 0.2, 3e-2: 0.5}
    before = cell_with(errors)[0].measure({"rate": RATES[:3]})
    later, fits = cell_with(errors, before=before)
    row = later.measure({"rate": RATES})
    assert fits == [3e-2]
    assert (row["option"], row["test"]) == ({"rate": 1e-2}, 2.0)
    assert [entry["option"]["rate"] for entry in row["tried"]] == [3e-3, 1e-2, 3e-2]


def test_a_method_that_fails_everywhere_has_a_row_that_says_so():
    row = cell_with(dict.fromkeys(RATES))[0].measure({"rate": RATES})
    assert row["test"] is None
    assert all("problem" in entry for entry in row["tried"])
