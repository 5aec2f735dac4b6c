"""SPARCS's rows in a table of means, and in one sentence."""

import statistics
from collections import defaultdict
from typing import Any

from benchmarks.quality.report import NO_ERROR, geometric_mean

Row = dict[str, Any]
Cell = tuple[str, float]
START = "not compressed"


def cells_of(rows: list[Row]) -> dict[Cell, dict[str, list[Row]]]:
    """Gather rows by setting and level, then by method; the starting models are left out."""
    cells: dict[Cell, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["method"] != START:
            cells[row["setting"], row["level"]][row["method"]].append(row)
    return cells


def _mean(rows: list[Row], key: str = "test") -> float:
    return statistics.mean(row[key] for row in rows)


def by_cell(all_rows: list[Row]) -> list[list[str]]:
    """Return mean test errors, best in bold, beside the parameters of ours and of SPARCS."""
    cells = cells_of(all_rows)
    methods = list(dict.fromkeys(method for cell in cells.values() for method in cell))
    starts = defaultdict(list)
    for row in all_rows:
        if row["method"] == START:
            starts[row["setting"]].append(row)
    lines = [["setting", "nodes ours keeps", "seeds", "parameters ours, SPARCS", START, *methods]]
    for (setting, level), cell in cells.items():
        best = min(_mean(rows) for rows in cell.values())
        sizes = [f"{_mean(cell[name], 'params'):,.0f}" for name in ("ours", "SPARCS")]
        shown = [_shown(cell.get(method), best) for method in methods]
        start = f"{100 * _mean(starts[setting]):.2f}"
        lines.append(
            [setting, f"{level:.0%}", str(len(cell["ours"])), ", ".join(sizes), start, *shown]
        )
    return lines


def _shown(rows: list[Row] | None, best: float) -> str:
    if not rows:
        return ""
    mean = _mean(rows)
    text = f"{100 * mean:.2f}"
    if len(rows) > 1:
        spread = statistics.stdev(row["test"] for row in rows) / len(rows) ** 0.5
        text += f" ± {100 * spread:.2f}"
    return f"**{text}**" if mean == best else text


def ratio_to(rows: list[Row], method: str, other: str) -> tuple[float, int, int]:
    """Return the geometric mean of one method's error over another's, the cells in which it is lower, and the cells."""
    pairs = [
        [max(NO_ERROR, _mean(cell[name])) for name in (method, other)]
        for cell in cells_of(rows).values()
        if method in cell and other in cell
    ]
    ratios = [mine / theirs for mine, theirs in pairs]
    return geometric_mean(ratios), sum(one < 1 for one in ratios), len(ratios)


def in_words(rows: list[Row]) -> str:
    """Return SPARCS's error against each other method's, and how many layers vanished by themselves."""
    parts = []
    for method, other in (
        ("SPARCS", "ours"),
        ("SPARCS, longer", "ours"),
        ("SPARCS", "from scratch"),
        ("SPARCS", "SPARCS's net from scratch"),
    ):
        mean, lower, count = ratio_to(rows, method, other)
        if count:
            parts.append(f"{method} ÷ {other} {mean:.2f}, lower in {lower} of {count} cells")
    alive = [layer for row in rows for layer in row.get("alive", [])]
    gone = sum(nodes == 0 for nodes in alive)
    return "; ".join([*parts, f"{gone} of {len(alive)} searched layers vanished whole"])


def badness(row: Row) -> float:
    """Return the test error of SPARCS's rows; all others stand behind them."""
    return row["test"] + row["method"].startswith("SPARCS")
