"""How the rows of the fuzz of imports are shown: what became of mutants, by kind of base and by what was changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

Row = dict[str, Any]
BAD = ("wrong", "torn", "foreign", "hang", "crash", "unnamed")
SHOWN = ("cut", "same", "refused", "stricter", "partly", "alone", "beyond", "theirs")


def badness(row: Row) -> float:
    """Return how many verdicts of a row are faults."""
    return float(sum(row.get(kind, 0) for kind in BAD))


def sentence(rows: list[Row]) -> str:
    """Say how many mutants each run has seen, and how many faults."""
    runs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        name = str(row.get("run", "first"))
        runs[name]["mutants"] += row["mutants"]
        runs[name]["faults"] += int(badness(row))
        runs[name]["cut"] += row.get("cut", 0)
    return "; ".join(
        f"run `{name}`: {counts['mutants']:,} mutants, {counts['cut']:,} of them cut, {counts['faults']} faults"
        for name, counts in runs.items()
    )


def overview(rows: list[Row]) -> list[list[str]]:
    """Return a table of the rows that tell it: by kind of base, then by what was changed."""
    head = ["of", *SHOWN, "faults"]
    return [head, *_lines("base", rows, "by_base"), *_lines("changed", rows, "by_change")]


def _lines(word: str, rows: list[Row], key: str) -> list[list[str]]:
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for name, counts in row.get(key, {}).items():
            totals[name].update(counts)
    return [
        [
            f"{word}: {name.replace('_', ' ')}",
            *(f"{counts[kind]:,}" for kind in SHOWN),
            str(sum(counts[kind] for kind in BAD)),
        ]
        for name, counts in sorted(totals.items())
    ]
