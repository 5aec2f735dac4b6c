"""What the rows of quality at equal time say."""

from __future__ import annotations

import math
from typing import Any

Row = dict[str, Any]
SLOWER = 1.03  # times as long: no longer equal time
LIMITED_BATCH = "1"


def time_ratio(row: Row, batch: str = LIMITED_BATCH) -> float | None:
    """Return our file's time over Torch-Pruning's; None where the limit was refused."""
    times = row["microseconds"][batch]
    return times["ours"] / times["theirs"] if "ours" in times else None


def error_ratio(row: Row) -> float | None:
    """Return our error over Torch-Pruning's on test rows; None where the limit was refused."""
    errors = row["test"]
    return errors["ours"] / errors["theirs"] if "ours" in errors else None


def verdict(row: Row) -> str:
    """Say whether a cell counts for us: not where our file takes longer, whatever its error."""
    times, errors = time_ratio(row), error_ratio(row)
    if times is None or errors is None:
        return "refused"
    if times > SLOWER:
        return "slower"
    return "won" if errors <= 1 else "lost"


def badness(row: Row) -> float:
    """Put refused limits first, then files that take longer, then errors."""
    rank = {"refused": 2e3, "slower": 1e3}.get(verdict(row), 0.0)
    return rank + (error_ratio(row) or 0.0)


def in_words(rows: list[Row]) -> str:
    """Count the cells of each run, and give the mean ratio of errors where our file takes no longer."""
    return "; ".join(_of_run(run, rows) for run in dict.fromkeys(row["run"] for row in rows))


def _of_run(run: str, rows: list[Row]) -> str:
    cells = [row for row in rows if row["run"] == run]
    counts = {
        name: sum(verdict(row) == name for row in cells)
        for name in ("won", "lost", "slower", "refused")
    }
    ratios = [
        ratio
        for row in cells
        if verdict(row) in ("won", "lost") and (ratio := error_ratio(row)) is not None
    ]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else math.nan
    said = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    equal = (
        f"; errors {mean:.2f} times Torch-Pruning's where ours takes no longer" if ratios else ""
    )
    return f"{run}: {len(cells)} cells, {said}{equal}"


def times_shown(batch: str) -> Any:
    """Return what shows the ratio of times at a batch."""

    def show(row: Row) -> str:
        ratio = time_ratio(row, batch)
        return "" if ratio is None else f"{ratio:.2f}"

    return show


def beside(key: str, scale: float = 1.0) -> Any:
    """Return what shows an amount of ours and of Torch-Pruning's, of the original's where `scale` is 0."""

    def show(row: Row) -> str:
        whole = row[key]
        parts = [whole.get("ours"), whole["theirs"]]
        by = scale or 1 / whole["original"]
        return " · ".join("–" if part is None else f"{100 * by * part:.2f}" for part in parts)

    return show


def widths(row: Row) -> str:
    """Show the widths of ours and of Torch-Pruning's."""
    both = [row["widths"].get("ours", []), row["widths"]["theirs"]]
    return " · ".join("-".join(map(str, one)) or "–" for one in both)
