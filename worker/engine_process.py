"""The engine in a process of its own: a crash, a lack of memory or a hang stays in there."""

from __future__ import annotations

import os
import select
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from worker.forkserver_link import Forkserver
from worker.messages import Answer, Assignment, LineReader, Spent

READ_BYTES = 1 << 16


class EngineProcess:
    """Runs `worker.child` on an assignment, and reads what it answers.

    `keep_open` are descriptors that it holds for as long as it lives.
    """

    def __init__(
        self,
        forkserver: Forkserver,
        assignment: Assignment,
        log: Path,
        keep_open: Sequence[int] = (),
    ) -> None:
        self.ended = False
        self._forkserver = forkserver
        self._lines = LineReader()
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        # A file, not a pipe: nobody waits until it is read.
        try:
            with tempfile.TemporaryFile() as stdin, log.open("ab") as output:
                stdin.write(assignment.to_line())
                stdin.seek(0)
                forkserver.start([stdin.fileno(), output.fileno(), writing, *keep_open])
        except BaseException:
            os.close(self._reading)
            raise
        finally:
            os.close(writing)

    @property
    def root(self) -> int | None:
        """The process below which all run that the engine starts; None where it is gone."""
        return self._forkserver.process_id

    def messages(self, wait_seconds: float) -> list[Answer]:
        """Return what came within the time; sets `ended` when nothing can follow."""
        # Asked before the pipe is read: all that a process told is in the pipe when it has ended.
        self._forkserver.listen(0)
        gone = self._forkserver.ended
        ready, _, _ = select.select([self._reading], [], [], wait_seconds)
        answers: list[Answer] = []
        while ready and not self.ended:
            try:
                data = os.read(self._reading, READ_BYTES)
            except BlockingIOError:
                break
            self.ended = not data
            answers += self._lines.feed(data)
        self.ended = self.ended or gone
        return answers

    def stop(self, grace_seconds: float) -> list[Answer]:
        """End the process, SIGTERM then SIGKILL; return what it had told before."""
        self._forkserver.signal(signal.SIGTERM)
        self._forkserver.listen(grace_seconds)
        if not self._forkserver.ended:
            self._forkserver.signal(signal.SIGKILL)
        self._forkserver.collect()
        return self.messages(0)

    def wait(self) -> Spent:
        """Wait for the end; return the exit code and what the process has cost."""
        return self._forkserver.collect()

    def close(self) -> Spent:
        """Leave nothing behind; return what the process has cost."""
        if not self._forkserver.ended:
            self.stop(0)
        os.close(self._reading)
        return self._forkserver.collect()
