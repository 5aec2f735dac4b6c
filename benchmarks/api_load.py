"""`GET /v1/jobs/{id}` under 32 connections, against a real server, while a job is running.

    python benchmarks/api_load.py                              a server of its own, a job that heartbeats
    python benchmarks/api_load.py --url http://… --job job_…   a server and a job that exist

Appends one JSON row to benchmarks/rows/api_load.jsonl: requests per second, p50 and p99 in ms.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import selectors
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
CONTENT_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
ROWS = ROOT / "benchmarks" / "rows" / "api_load.jsonl"


def main() -> None:
    arguments = parse()
    if arguments.url:
        row = measure(arguments.url, arguments.job, arguments)
    else:
        with tempfile.TemporaryDirectory() as folder, running_job(Path(folder)) as (url, job):
            row = measure(url, job, arguments)
    ROWS.parent.mkdir(exist_ok=True)
    with ROWS.open("a") as rows:
        rows.write(json.dumps(row) + "\n")
    print(json.dumps(row))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--url")
    parser.add_argument("--job")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    if bool(arguments.url) != bool(arguments.job):
        parser.error("give both --url and --job, or neither")
    return arguments


@contextmanager
def running_job(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve from `folder` and keep one job running, reporting progress twice a second."""
    from support.hand import Hand
    from support.running_api import NO_BROKER, running_api

    from service.api.app import make_context
    from service.client import Client
    from service.settings import Settings

    (folder / "file").write_bytes(b"content")
    with running_api(folder) as server, Client(server.url) as client:
        model, data = client.models.create(folder / "file"), client.datasets.create(folder / "file")
        job = client.jobs.create(model=model.id, dataset=data.id)
        here = make_context(Settings(data_dir=folder, broker_url=NO_BROKER))
        hand = Hand(here, job.id).claim()
        done = threading.Event()
        beat = threading.Thread(target=heartbeat, args=(hand, done))
        beat.start()
        try:
            yield server.url, job.id
        finally:
            done.set()
            beat.join()


def heartbeat(hand: object, done: threading.Event) -> None:
    step = 0
    while not done.wait(0.5):
        step += 1
        hand.progress(min(step / 1000, 1.0), metrics={"loss": 1.0 / step})  # type: ignore[attr-defined]


def measure(url: str, job: str, arguments: argparse.Namespace) -> dict[str, object]:
    samples = hammer(url, job, arguments.connections, arguments.seconds)
    return row(samples, arguments)


def row(samples: list[float], arguments: argparse.Namespace) -> dict[str, object]:
    cuts = statistics.quantiles(samples, n=100, method="inclusive")
    return {
        "benchmark": "api_load",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "connections": arguments.connections,
        "seconds": arguments.seconds,
        "requests": len(samples),
        "requests_per_second": round(len(samples) / arguments.seconds, 1),
        "p50_ms": round(cuts[49] * 1e3, 2),
        "p99_ms": round(cuts[98] * 1e3, 2),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def hammer(url: str, job: str, connections: int, seconds: float) -> list[float]:
    """Ask again and again over `connections` connections; return the seconds of each answer.

    Sockets and one selector instead of an HTTP library, which would cost more than the server does.
    """
    request = f"GET /v1/jobs/{job} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n\r\n".encode()
    selector = selectors.DefaultSelector()
    callers = [Caller(url, request) for _ in range(connections)]
    for caller in callers:
        selector.register(caller.connection, selectors.EVENT_READ, caller)
        caller.ask()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for key, _ in selector.select(timeout=1):
            key.data.hear()
    for caller in callers:
        caller.connection.close()
    return [sample for caller in callers for sample in caller.samples]


class Caller:
    """One connection that asks as soon as it was answered."""

    def __init__(self, url: str, request: bytes) -> None:
        parts = urlsplit(url)
        self.connection = socket.create_connection((parts.hostname or "", parts.port or 80))
        self.request = request
        self.heard = b""
        self.asked = 0.0
        self.samples: list[float] = []

    def ask(self) -> None:
        self.heard = b""
        self.asked = time.perf_counter()
        self.connection.sendall(self.request)

    def hear(self) -> None:
        self.heard += self.connection.recv(65_536)
        head, end, body = self.heard.partition(b"\r\n\r\n")
        if not end or len(body) < int(CONTENT_LENGTH.search(head)[1]):  # type: ignore[index]
            return
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the server answered {head[:40]!r}")
        self.samples.append(time.perf_counter() - self.asked)
        self.ask()


if __name__ == "__main__":
    main()
