"""Rows that the original has seen: is it found, and is what the report says of the drop true?

    python -m benchmarks.seen_rows [--parts signs drops convolutions] [--seeds 2] [--minutes 30]

signs: nets trained in six ways on rows of nine data sets; either these rows or unseen ones are handed over, and
nothing is said. How often is a sign found?
drops: whole jobs with `seen_by_original: true`; the true drop of every candidate is measured on rows that nobody saw.
convolutions: both for residual and plain convolutional nets, batch norm kept or folded into the weights.
A run that was stopped goes on where it stood.
"""

import argparse
import time
from typing import Any

from benchmarks import rows
from benchmarks.seen_rows import convolutions, drops, signs

PARTS = {"signs": signs, "drops": drops, "convolutions": convolutions}
KEY = ("part", "data", "rows", "times", "style", "norm", "seed")


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a row is of."""
    return tuple(row.get(name) for name in KEY)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--data", nargs="+")
    parser.add_argument("--minutes", type=float, default=30)
    asked = parser.parse_args()
    ends = time.monotonic() + 60 * asked.minutes
    for part in asked.parts:
        name = f"seen_rows_{part}"
        done = {key(row) for row in rows.read(name)}
        for setting in PARTS[part].settings(asked.seeds):
            if time.monotonic() > ends:
                return
            if key(setting) in done or (asked.data and setting["data"] not in asked.data):
                continue
            row = PARTS[part].measure(setting)
            if row is not None:
                rows.append(name, row)
                print(row, flush=True)


if __name__ == "__main__":
    main()
