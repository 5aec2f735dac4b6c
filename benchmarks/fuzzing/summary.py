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


def sentence(own: list[Row]) -> str:
    """Say how many mutants each run has seen, and how many faults."""
    runs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in own:
        name = str(row.get("run", "first"))
        runs[name]["mutants"] += row["mutants"]
        runs[name]["faults"] += int(badness(row))
        runs[name]["cut"] += row.get("cut", 0)
    return "; ".join(
        f"run `{name}`: {found['mutants']:,} mutants, {found['cut']:,} of them cut, {found['faults']} faults"
        for name, found in runs.items()
    )


def overview(own: list[Row]) -> list[list[str]]:
    """Return a table of the rows that tell it: by kind of base, then by what was changed."""
    head = ["of", *SHOWN, "faults"]
    return [head, *_lines("base", own, "by_base"), *_lines("changed", own, "by_change")]


def _lines(word: str, own: list[Row], key: str) -> list[list[str]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in own:
        for name, counts in row.get(key, {}).items():
            found[name].update(counts)
    return [
        [
            f"{word}: {name.replace('_', ' ')}",
            *(f"{counts[kind]:,}" for kind in SHOWN),
            str(sum(counts[kind] for kind in BAD)),
        ]
        for name, counts in sorted(found.items())
    ]
