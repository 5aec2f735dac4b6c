"""The memory of processes that a job's process starts itself, as one for each of its devices."""

from __future__ import annotations

import os
import select

from worker.cage.usage import PROC, below

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
        for process in below(self._process):
            self._peaks[process] = max(self._peaks.get(process, 0), _peak_of(process))


def _peak_of(process: int) -> int:
    try:
        lines = (PROC / str(process) / "status").read_text().splitlines()
    except OSError:
        return 0
    told = next((line.split() for line in lines if line.startswith("VmHWM:")), ["", "0"])
    return int(told[1]) * 1024
