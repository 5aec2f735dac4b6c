"""The memory of processes that a job's process starts itself, as one for each of its devices."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
LOOK_SECONDS = 1.0


class StartedMemory:
    """Looks at them once a second, where the system shows them: what lived for less may be missed."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._peaks: dict[int, int] = {}

    @property
    def peak_bytes(self) -> int:
        """The sum over all that were seen, each at its own peak; pages that they share count for each."""
        return sum(self._peaks.values())

    def watch(self) -> None:
        """Look until the process has ended; it is not collected."""
        if not hasattr(os, "pidfd_open"):
            return
        try:
            ended = os.pidfd_open(self._process)
        except OSError:  # a kernel without it
            return
        while not select.select([ended], [], [], LOOK_SECONDS)[0]:
            self._look()
        os.close(ended)

    def _look(self) -> None:
        for process in _started_by(self._process):
            self._peaks[process] = max(self._peaks.get(process, 0), _peak_of(process))


def _started_by(process: int) -> Iterator[int]:
    """Yield what a process has started, and what that has."""
    parents = {int(folder.name): _parent_of(folder) for folder in PROC.glob("[0-9]*")}
    generation = {process}
    while generation := {child for child, parent in parents.items() if parent in generation}:
        yield from generation


def _parent_of(folder: Path) -> int:
    try:
        # Behind the name in parentheses, which may hold anything: state, parent, …
        return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):  # it has ended
        return 0


def _peak_of(process: int) -> int:
    try:
        lines = (PROC / str(process) / "status").read_text().splitlines()
    except OSError:
        return 0
    told = next((line.split() for line in lines if line.startswith("VmHWM:")), ["", "0"])
    return int(told[1]) * 1024
