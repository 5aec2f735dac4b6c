"""`python -m worker --queues gpu,cpu --concurrency 1`, with the settings of the environment."""

from __future__ import annotations

import argparse
import sys

from service.settings import Settings
from worker.main import run_worker


def main() -> int:
    """Run a worker; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument("--queues", default="gpu,cpu", help="names, the first one served first")
    parser.add_argument("--concurrency", type=int, default=1, help="jobs at a time")
    given = parser.parse_args()
    queues = [name.strip() for name in given.queues.split(",") if name.strip()]
    return run_worker(Settings(), queues, given.concurrency)


if __name__ == "__main__":
    sys.exit(main())
