"""`GET /v1/jobs/{id}` under 32 connections, against `eigenpress serve`, while its worker trains that very job.

    python -m benchmarks.api_load                              a service of its own, with a real job
    python -m benchmarks.api_load --url http://… --job job_…   a service and a running job that exist

Appends a row to benchmarks/rows/api_load.jsonl: requests per second, p50 and p99 in ms. Server, worker and this client
share the machine. There is no row unless the job was at work, and moved on, from the first request to the last.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import selectors
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from benchmarks import rows
from benchmarks.digits import trained_perceptron
from examples.demo import serving
from service.client import Client

CONTENT_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
WIDTHS = (784, 48, 48, 10)
EPOCHS = 10_000  # far more than there is time for: the job is cancelled when all is measured
PATIENCE_SECONDS = 120.0


def main() -> None:
    arguments = parse()
    if arguments.url:
        row = measure(arguments.url, arguments.job, arguments)
    else:
        with tempfile.TemporaryDirectory() as folder, running_job(Path(folder)) as (url, job):
            row = measure(url, job, arguments)
    rows.append("api_load", row)
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
    """Serve from `folder`; yield the address and the id of a job that trains."""
    # One thread for the worker: the other cores are left to the server and to this client.
    os.environ["OMP_NUM_THREADS"] = "1"
    with serving(folder / "serve.log") as url, Client(url) as client:
        files = trained_perceptron(folder, seed=0, widths=WIDTHS)
        model, data = client.models.create(files[0]), client.datasets.create(files[1])
        recipe = {"training": {"epochs": EPOCHS}}
        job = client.jobs.create(model=model.id, dataset=data.id, recipe=recipe)
        wait_until_it_trains(url, job.id)
        yield url, job.id
        job.cancel()


def wait_until_it_trains(url: str, job: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not (state(url, job)["progress"]["step"] or 0) > 1:
        if time.monotonic() > until:
            raise TimeoutError(f"{job} did not start to train")
        time.sleep(0.2)


def state(url: str, job: str) -> dict[str, Any]:
    body: dict[str, Any] = httpx2.get(f"{url}/v1/jobs/{job}").raise_for_status().json()
    return body


def measure(url: str, job: str, arguments: argparse.Namespace) -> dict[str, Any]:
    load, before = os.getloadavg()[0], state(url, job)
    samples = hammer(url, job, arguments.connections, arguments.seconds)
    after = state(url, job)
    steps = [one["progress"]["step"] for one in (before, after)]
    if after["status"] != "running" or steps[0] == steps[1]:
        raise RuntimeError(
            f"the job was not at work all the time: {after['status']}, steps {steps}"
        )
    return {**figures(samples, arguments), "job": "running", "steps": steps, "load_before": load}


def figures(samples: list[float], arguments: argparse.Namespace) -> dict[str, Any]:
    cuts = statistics.quantiles(samples, n=100, method="inclusive")
    return {
        "connections": arguments.connections,
        "seconds": arguments.seconds,
        "requests": len(samples),
        "requests_per_second": round(len(samples) / arguments.seconds, 1),
        "p50_ms": round(cuts[49] * 1e3, 2),
        "p99_ms": round(cuts[98] * 1e3, 2),
        "cores": os.cpu_count(),
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
