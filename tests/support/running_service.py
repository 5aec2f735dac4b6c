"""`eigenpress serve` as a person starts it, over a real port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 40.0
# So that a worker's death is noticed in seconds, and a machine that stalls for some is not taken for one.
IMPATIENT = {"lease_seconds": 8, "heartbeat_seconds": 1, "reaper_seconds": 1}


@dataclass(frozen=True)
class RunningService:
    """A whole service: API, queue and worker."""

    url: str
    process: subprocess.Popen[str]
    data_dir: Path
    log: Path

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def processes(self) -> list[int]:
        """Return the ids of every process under it."""
        return descendants(self.process.pid)


@contextmanager
def running_service(
    data_dir: Path, *arguments: str, **settings: object
) -> Iterator[RunningService]:
    """Serve from `data_dir` on a free port until the block ends."""
    given = {f"EIGENPRESS_{name.upper()}": str(value) for name, value in settings.items()}
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "serve.log"
    command = [sys.executable, "-m", "service.cli", "serve", "--port", "0"]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*command, "--data-dir", str(data_dir), *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1", **given},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if "http://" not in line:
            raise RuntimeError(f"the service did not start: {line}\n{log.read_text()}")
        url = next(word for word in line.split() if word.startswith("http://"))
        yield RunningService(url, process, data_dir, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_SECONDS)
        process.stdout.close()


def descendants(process_id: int) -> list[int]:
    """Return the ids of the processes under one, near ones first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(after_name[1]), []).append(int(stat.parent.name))
    ids, queue = [], [process_id]
    while queue:
        near = children.get(queue.pop(0), [])
        ids += near
        queue += near
    return ids


def command_line(process_id: int) -> str:
    """Return how a process was started; empty when it is gone."""
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(process_id: int) -> bool:
    """Tell whether a process runs; one that is dead and not yet collected does not."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
