"""How long programs take to start: the list of commands, the API, and what `compress` needs beside its libraries alone.

python -m benchmarks.start_up [--runs 9]

Processor time of processes of their own, user and system; all cases take turns, so that what else the machine does
falls on all of them. Processor time too grows where others share the caches: a ratio of one run says more than a time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from resource import RUSAGE_CHILDREN, getrusage

from benchmarks import rows

CASES = {
    "python": "pass",
    "help": "import sys; sys.argv[1:] = ['--help']; from service.cli.main import main; main()",
    "fastapi_sqlalchemy": "import fastapi, sqlalchemy.orm",
    "api": "import service.api.app",
    "torch_onnxruntime": "import torch, onnxruntime",
    "compress": "import onnxruntime, spectral_engine; spectral_engine.compress",
}


def main() -> int:
    """Measure all cases and append one row."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    for program in CASES.values():
        processor_seconds(
            program
        )  # the first one writes compiled modules, and fills the cache of files
    taken = {name: [0.0] * runs for name in CASES}
    for turn in range(runs):
        for name, program in CASES.items():
            taken[name][turn] = processor_seconds(program)
    median = {name: statistics.median(seconds) for name, seconds in taken.items()}
    row = {
        "runs": runs,
        "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
        "median_seconds": median,
        "least_seconds": {name: min(seconds) for name, seconds in taken.items()},
        "compress_ratio": _ratio(taken["compress"], taken["torch_onnxruntime"]),
        "api_ratio": _ratio(taken["api"], taken["fastapi_sqlalchemy"]),
    }
    rows.append("start_up", row)
    print(row)
    return 0


def processor_seconds(program: str) -> float:
    """Return what a Python process takes to run a program, from its start to its end."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ratio(those: list[float], bare: list[float]) -> float:
    """Return the median over turns of one case's time by another's."""
    return statistics.median(one / other for one, other in zip(those, bare, strict=True))


if __name__ == "__main__":
    sys.exit(main())
