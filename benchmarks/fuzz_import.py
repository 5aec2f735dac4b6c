"""Mutants of models, imported, narrowed and run beside onnxruntime, in worker processes that may die.

    python -m benchmarks.fuzz_import [--mutants 10000] [--seed 0] [--workers 2] [--run NAME]

Each is run at several batches and lengths, others than those that are tried on import. One row for each PORTION of
mutants; a run of the same name goes on where it was stopped.

Verdicts: `cut` (module and onnxruntime agree, and so do masked and cut file), `same` (they agree, and nothing was cut),
`torn` (masked and cut differ, or one does not run), `wrong` (module and onnxruntime differ), `beyond` (they do where
single precision overflows), `partly` (the module refuses some of the shapes that onnxruntime runs), `refused` (an
EngineError), `stricter` (the same, but onnxruntime runs it), `unnamed` (one that does not say where), `alone` (only we
run), `foreign` (any other exception of ours), `hang` and `crash` (the worker is stuck in, or dies of, our part),
`theirs` (onnxruntime hangs, or kills its worker).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks import rows
from benchmarks.fuzzing.crew import Verdict, fuzz
from benchmarks.fuzzing.summary import BAD, SHOWN
from examples.specimens.fuzz_bases import by_kind

NAME = "fuzz_import"
PORTION = 500


def main() -> None:
    """Run, or go on with, one run."""
    chosen = parse()
    kinds = {base: kind for kind, models in by_kind().items() for base in models}
    sources = {base: model for models in by_kind().values() for base, model in models.items()}
    shown = {*BAD, *chosen.show.split(",")}
    for seeds in left(chosen.seed, chosen.mutants, chosen.run):
        verdicts = []
        for verdict in fuzz(sources, seeds, chosen.workers):
            verdicts.append(verdict)
            if verdict.kind in shown:
                print(json.dumps(vars(verdict)), flush=True)
        row = row_of(verdicts, seeds, chosen.run, kinds)
        print({kind: row[kind] for kind in (*SHOWN, *BAD)}, file=sys.stderr, flush=True)
        if not chosen.dry:
            rows.append(NAME, row)


def parse() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--run", default="now", help="rows of other runs stay beside these")
    parser.add_argument("--show", default="", help="verdicts to list besides the bad ones")
    parser.add_argument("--dry", action="store_true", help="write no row")
    return parser.parse_args()


def left(seed: int, mutants: int, run: str) -> list[range]:
    """Return the portions of a run that have no row yet."""
    done = {(row["seed"], row["mutants"]) for row in rows.read(NAME) if row.get("run") == run}
    end = seed + mutants
    portions = [range(start, min(start + PORTION, end)) for start in range(seed, end, PORTION)]
    return [one for one in portions if (one.start, len(one)) not in done]


def row_of(
    verdicts: Iterable[Verdict], seeds: range, run: str, kinds: Mapping[str, str]
) -> dict[str, Any]:
    """Count verdicts: all, by the kind of base, and by what was done to the mutant."""
    counted: Counter[str] = Counter()
    by_base: defaultdict[str, Counter[str]] = defaultdict(Counter)
    by_change: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for verdict in verdicts:
        counted[verdict.kind] += 1
        by_base[kinds[verdict.base]][verdict.kind] += 1
        for change in set(verdict.changes):
            by_change[change][verdict.kind] += 1
    return {
        "run": run,
        "mutants": len(seeds),
        "seed": seeds.start,
        **{kind: counted[kind] for kind in (*SHOWN, *BAD)},
        "by_base": {name: dict(counts) for name, counts in sorted(by_base.items())},
        "by_change": {name: dict(counts) for name, counts in sorted(by_change.items())},
    }


if __name__ == "__main__":
    main()
