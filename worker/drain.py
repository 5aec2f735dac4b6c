"""Stopping a worker gracefully: its job goes back to the queue, with its checkpoint."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from billiard import active_children


class Drain:
    """Whether this pool process was asked to stop: then it takes no other job."""

    def __init__(self) -> None:
        self.requested = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Have SIGTERM noted, in a time in which the process must not just end.

        It is set for each job: the pool sets handlers of its own after every hook that a starting process has.
        """
        before = signal.signal(signal.SIGTERM, self._on_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.requested = True


def drain_pool(**_: Any) -> None:
    """Ask every pool process of this worker to stop."""
    for process in active_children():
        process.terminate()
