"""What a process holds while it works: sampled, by stage, with where the code was at the peak."""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SAMPLING_SECONDS = 0.01
PAGE = resource.getpagesize()
OURS = "/spectral_engine/"
FRAMES_TOLD = 6


class Watch:
    """Peaks of own memory and of all that is resident, in bytes, and processor seconds, by stage."""

    def __init__(self) -> None:
        self.stage = "start"
        self.anonymous: dict[str, int] = defaultdict(int)
        self.resident: dict[str, int] = defaultdict(int)
        self.seconds: dict[str, float] = defaultdict(float)
        self.at: dict[str, list[str]] = {}
        self._main = threading.get_ident()
        self._since = time.process_time()

    def enter(self, stage: str) -> None:
        """Count what follows for another stage."""
        now = time.process_time()
        self.seconds[self.stage] += now - self._since
        self.stage, self._since = stage, now

    @contextmanager
    def running(self) -> Iterator[Watch]:
        """Look at it until the block ends."""
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,), daemon=True)
        watcher.start()
        try:
            yield self
        finally:
            done.set()
            watcher.join()
            self.enter("end")

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(SAMPLING_SECONDS):
            stage, (resident, anonymous) = self.stage, memory_now()
            self.resident[stage] = max(self.resident[stage], resident)
            if anonymous > self.anonymous[stage]:
                self.anonymous[stage] = anonymous
                self.at[stage] = where(sys._current_frames().get(self._main))


def memory_now() -> tuple[int, int]:
    """Return what is resident, and how much of it is the process's own rather than pages of files, in bytes."""
    _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
    return resident * PAGE, (resident - shared) * PAGE


def where(frame: FrameType | None) -> list[str]:
    """Return the innermost calls of the engine, outermost first."""
    told: list[str] = []
    while frame is not None and len(told) < FRAMES_TOLD:
        _, ours, file = frame.f_code.co_filename.rpartition(OURS)
        if ours:
            told.append(f"{file}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return told[::-1]
