"""Looks at the engine's processes from outside, and says which limit they have reached."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from service.store.jobs.error import JobError
from spectral_engine.lack_of_memory import says_so
from worker.cage.usage import Usage, below, disk_bytes, usage_of
from worker.messages import Limits

LOOK_SECONDS = 0.2
DISK_SECONDS = 1.0  # a folder may hold many files
LAST_BYTES = 2000
NEARLY = 0.8  # of the memory limit: what the kernel kills then, it kills for its own need


class Watch:
    """Compares what all processes below `root` take with the limits of an attempt, and what lies in `written`."""

    def __init__(
        self, limits: Limits, root: Callable[[], int | None], written: Sequence[Path]
    ) -> None:
        self.limits, self._root, self._written = limits, root, written
        self._started = time.monotonic()
        self._looked = self._looked_at_disk = 0.0
        self._peak = Usage()

    @property
    def seconds(self) -> float:
        """How long the attempt has lasted."""
        return time.monotonic() - self._started

    def reached(self) -> JobError | None:
        """Return the error of a limit that is reached, with limit and use; None where there is none."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return None
        self._looked = now
        root = self._root()
        processes = [] if root is None else below(root)
        usage = usage_of(processes)
        self._peak = max(self._peak, usage, key=lambda one: one.memory_bytes)
        return self._of_time(usage) or self._of_machine(usage) or self._of_disk(processes, now)

    def reached_by(self, exit_code: int, log: Path) -> JobError | None:
        """Return the error of the limit by which a process has ended that could not say so itself."""
        if exit_code == -signal.SIGXCPU:
            most = self.limits.cpu_seconds
            return _timeout(most, most, "processor seconds")
        if exit_code == -signal.SIGXFSZ:
            detail = f"A file of the job grew beyond {self.limits.disk_bytes:,} bytes."
            return JobError(code="too-much-disk", detail=detail)
        full = self._peak.memory_bytes >= NEARLY * self.limits.memory_bytes
        if (exit_code == -signal.SIGKILL and full) or (exit_code < 0 and says_so(_end_of(log))):
            return out_of_memory(self.limits, f"It took {self._peak.memory_bytes:,} bytes or more.")
        return None

    def _of_time(self, usage: Usage) -> JobError | None:
        limits = self.limits
        wall = limits.runtime_used + self.seconds
        if wall > limits.runtime_seconds:
            return _timeout(wall, limits.runtime_seconds, "seconds")
        cpu = limits.cpu_used + usage.cpu_seconds
        if cpu > limits.cpu_seconds:
            return _timeout(cpu, limits.cpu_seconds, "processor seconds")
        return None

    def _of_machine(self, usage: Usage) -> JobError | None:
        limits = self.limits
        if usage.memory_bytes > limits.memory_bytes:
            return out_of_memory(limits, f"It took {usage.memory_bytes:,} bytes.")
        if usage.processes > limits.processes:
            detail = f"The job had {usage.processes:,} processes; at most {limits.processes:,} are allowed."
            return JobError(code="limit-reached", detail=detail)
        return None

    def _of_disk(self, processes: Sequence[int], now: float) -> JobError | None:
        if now - self._looked_at_disk < DISK_SECONDS:
            return None
        self._looked_at_disk = now
        used = disk_bytes(self._written, processes)
        if used <= self.limits.disk_bytes:
            return None
        detail = (
            f"The job used {used:,} bytes of disk; at most {self.limits.disk_bytes:,} are allowed."
        )
        return JobError(code="too-much-disk", detail=detail)


def _timeout(used: float, most: float, unit: str) -> JobError:
    detail = f"The job ran {used:,.1f} {unit} in all its attempts; its limit is {most:,g} {unit}."
    return JobError(code="timeout", detail=detail)


def _end_of(log: Path) -> str:
    """Return what a process has printed last."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LAST_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def out_of_memory(limits: Limits, told: str) -> JobError:
    """Return the error of a job that needs more memory than it may use."""
    detail = f"The job needs more than the {limits.memory_bytes:,} bytes of memory that it may use. {told}"
    return JobError(code="out-of-memory", detail=detail)
