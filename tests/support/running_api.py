"""The API in a process of its own, over a real port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.support.waiting import wait_until

# Nothing listens there: jobs are accepted all the same, and no worker takes them.
NO_BROKER = "redis://127.0.0.1:1/0"


@dataclass(frozen=True)
class RunningApi:
    """A server that answers."""

    url: str
    process: subprocess.Popen[bytes]
    data_dir: Path

    def memory_bytes(self) -> int:
        """Return the most memory that the server has held so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def stored_files(self) -> list[Path]:
        """Return every file under the artifacts, finished or not."""
        return [path for path in (self.data_dir / "artifacts").rglob("*") if path.is_file()]


@contextmanager
def running_api(data_dir: Path, **settings: object) -> Iterator[RunningApi]:
    """Serve from `data_dir` on a free port until the block ends."""
    port = free_port()
    given = {"data_dir": data_dir, "port": port, "broker_url": NO_BROKER, **settings}
    env = {f"EIGENPRESS_{name.upper()}": str(value) for name, value in given.items()}
    log = (data_dir / "api.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "service.api"],
        env={**os.environ, **env},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(url, process, data_dir / "api.log")
        yield RunningApi(url, process, data_dir)
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the API ended at once:\n{log.read_text()}")
        try:
            httpx2.get(f"{url}/healthz", timeout=1)
        except httpx2.TransportError:
            return False
        return True

    wait_until(answers, 90, tell=log.read_text)
