"""Memory and processor seconds of models at size, by case and stage: each in a process of its own, one at a time.

    python -m benchmarks.at_size [--nets bert-base …] [--cases train …] [--build "what the code is"]

Random weights and rows: what is measured is the engine, not the quality. Rows are written as they come; a case that has
one of the same build is not run again. A process may take 10 GiB of its own. The largest files are 500 MB, written once
into `benchmarks/at_size/.cache`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

from benchmarks import rows
from benchmarks.at_size.nets import NETS

CASES = ("analyze", "analyze_target", "cut", "train")
BATCH, STEPS = 4, 4
LONGEST_SECONDS = 1800
SHOWN = [name for name in NETS if not name.endswith(("-5", "-small"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--nets", nargs="+", default=SHOWN, choices=[*NETS])
    parser.add_argument("--cases", nargs="+", default=CASES, choices=CASES)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--steps", type=int, default=STEPS, help="of one epoch, before a cut")
    parser.add_argument("--build", default="", help="noted in the rows: what the code is")
    given = parser.parse_args()
    known = {_key(row) for row in rows.read("at_size")}
    for net in given.nets:
        for case in given.cases:
            asked = {"net": net, "case": case, "batch": given.batch, "steps": given.steps}
            asked["build"] = given.build
            if _key(asked) not in known:
                row = asked | run(asked)
                print(json.dumps(row), flush=True)
                rows.append("at_size", row)


def run(asked: dict[str, object]) -> dict[str, object]:
    """Return what a case took or, where it did not end well, its last words."""
    names = [str(asked[name]) for name in ("net", "case", "batch", "steps")]
    command = [sys.executable, "-m", "benchmarks.at_size.cases", *names]
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failure": f"not done after {LONGEST_SECONDS} s"}
    if done.returncode:
        return {"failure": done.stderr.strip().rpartition("\n")[2][:300]}
    told: dict[str, object] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return told


def _key(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(row.get(name) for name in ("net", "case", "batch", "steps", "build"))


if __name__ == "__main__":
    main()
