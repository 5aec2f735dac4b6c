"""The engine in a process of its own: a crash, a lack of memory or a hang stays in there."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from worker.messages import Answer, Assignment, LineReader, Task

READ_BYTES = 1 << 16


class EngineProcess:
    """Runs `worker.child` on a task, and reads what it answers."""

    def __init__(self, task: Task, log: Path, keep_open: Sequence[int] = ()) -> None:
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._lines = LineReader()
        self.ended = False
        assignment = Assignment(task=task, pipe=writing, parent=os.getpid())
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker.child"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[writing, *keep_open],
                # Ctrl-C in a terminal is the worker's to answer.
                start_new_session=True,
            )
        os.close(writing)
        self._send(assignment)

    def _send(self, assignment: Assignment) -> None:
        assert self._process.stdin is not None
        try:
            with self._process.stdin as stdin:
                stdin.write(assignment.to_line())
        except BrokenPipeError:
            pass  # it died at once; its exit code tells

    def messages(self, wait_seconds: float) -> list[Answer]:
        """Return what came within the time; sets `ended` when nothing can follow."""
        # Asked before the pipe is read: all that a process told is in the pipe when it has ended.
        gone = self._process.poll() is not None
        ready, _, _ = select.select([self._reading], [], [], wait_seconds)
        found: list[Answer] = []
        while ready and not self.ended:
            try:
                data = os.read(self._reading, READ_BYTES)
            except BlockingIOError:
                break
            self.ended = not data
            found += self._lines.feed(data)
        self.ended = self.ended or gone
        return found

    def stop(self, grace_seconds: float) -> list[Answer]:
        """End the process, SIGTERM then SIGKILL; return what it had told before."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        return self.messages(0)

    def _signal(self, number: int) -> None:
        # To its whole session: what the engine itself has started ends with it.
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def wait(self) -> int:
        """Wait for the end; return the exit code, negative for a signal."""
        return self._process.wait()

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process.poll() is None:
            self.stop(0)
        os.close(self._reading)
