"""A table with one column for each class, of which one holds a 1 in every row: the class by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

YES = frozenset({"1", "1.0", "true"})
NO = frozenset({"0", "0.0", "false", ""})


@dataclass(frozen=True)
class OneHot:
    """Rows with the name of the class behind them, and what the column of these names is called."""

    name: str
    rows: list[list[str]]


def one_hot(
    header: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[int]
) -> OneHot | None:
    """Return the rows with their class, or None where the columns are not such: one 1 in each row, and else 0."""
    if len(columns) < 2 or not rows:
        return None
    labelled = []
    for row in rows:
        cells = [row[n].strip().lower() if n < len(row) else "" for n in columns]
        ones = [header[n] for n, cell in zip(columns, cells, strict=True) if cell in YES]
        if len(ones) != 1 or not all(cell in YES | NO for cell in cells):
            return None
        labelled.append([*_filled(row, len(header)), ones[0]])
    return OneHot(", ".join(header[n] for n in columns), labelled)


def _filled(row: Sequence[str], width: int) -> list[str]:
    """Return a row with as many cells as the header has."""
    return [*row[:width], *[""] * (width - len(row))]
