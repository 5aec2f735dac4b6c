"""How the rows are shown: means of every method, and ours beside the best of the others."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
OURS = ("ours", "λ_in alone", "|λ_in|·‖φ‖")  # readings of one training
SMALL_IS_GOOD = "removed"
MEASURES = ("removed", "kept", "retrained")


def by_method(rows: list[Row]) -> list[list[str]]:
    """Return a table of every method's means, best first, with a head."""
    names = sorted(rows[0]["methods"], key=lambda name: _overall(rows, name), reverse=True)
    head = [
        "method",
        "removed ↓",
        "kept ↑",
        "retrained ↑",
        "mean of (1 − removed), kept, retrained",
        "time",
    ]
    return [head, *([name, *_cells(rows, name)] for name in names)]


def _cells(rows: list[Row], name: str) -> list[str]:
    means = [f"{mean(rows, name, measure):.3f}" for measure in MEASURES]
    return [*means, f"{_overall(rows, name):.3f}", f"{_time_ratio(rows, name):.2f} ×"]


def mean(rows: list[Row], name: str, measure: str) -> float:
    """Return one method's mean over all rows."""
    return statistics.mean(row["methods"][name][measure] for row in rows)


def _overall(rows: list[Row], name: str) -> float:
    return statistics.mean(overall(row, name) for row in rows)


def overall(row: Row, name: str) -> float:
    """Return the mean of what is good when it is large."""
    measured = row["methods"][name]
    return statistics.mean((1 - measured["removed"], measured["kept"], measured["retrained"]))


def _time_ratio(rows: list[Row], name: str) -> float:
    """Geometric mean over rows of a method's time over ours."""
    ratios = [
        max(row["methods"][name]["seconds"], 1e-6) / row["methods"]["ours"]["seconds"]
        for row in rows
    ]
    return statistics.geometric_mean(ratios)


def behind(row: Row) -> float:
    """Return by how much ours is behind the best of the others, all measures together."""
    return max(overall(row, name) for name in _others(row)) - overall(row, "ours")


def beside_best(measure: str) -> Callable[[Row], str]:
    """Return how to show ours and the best of the others in one measure."""

    def show(row: Row) -> str:
        values = {name: row["methods"][name][measure] for name in _others(row)}
        best = (min if measure == SMALL_IS_GOOD else max)(values, key=values.__getitem__)
        return f"{row['methods']['ours'][measure]:.3f}, {values[best]:.3f} ({best})"

    return show


def in_words(rows: list[Row]) -> str:
    """Return how ours stands beside the best of the others, measure by measure."""
    said = []
    for measure in MEASURES:
        values = {name: mean(rows, name, measure) for name in _others(rows[0])}
        best = (min if measure == SMALL_IS_GOOD else max)(values, key=values.__getitem__)
        said.append(
            f"{measure} {mean(rows, 'ours', measure):.3f}, best other {values[best]:.3f} ({best})"
        )
    worse = sum(behind(row) > 0 for row in rows)
    return (
        f"{'; '.join(said)}. Behind the best other of the row in {worse} of {len(rows)} models, "
        "all measures together"
    )


def _others(row: Row) -> list[str]:
    return [name for name in row["methods"] if name not in OURS]
