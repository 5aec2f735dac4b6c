"""Stopping a worker gracefully: its job goes back to the queue, with its checkpoint."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from billiard import active_children


class Drain:
    """Whether this pool process was asked to stop."""

    def __init__(self) -> None:
        self.requested = False
        self._busy = False

    def on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop at once where nothing runs; else let the runner see it and give its job back."""
        self.requested = True
        if not self._busy:
            sys.exit(0)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Mark a time in which the process must not just end."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False


def drain_pool(**_: Any) -> None:
    """Ask every pool process of this worker to stop."""
    for process in active_children():
        process.terminate()
