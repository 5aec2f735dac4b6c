"""The worker's side of the forkserver: keeps it running, and hears of the process that it has started."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from worker.cage.environment import needed
from worker.messages import Ended, Spent, Started, read_told

READ_BYTES = 4096
# Of a process whose forkserver is gone: the kernel has killed it too, and nobody knows what it has cost.
LOST = Spent(exit_code=-signal.SIGKILL, cpu_seconds=0.0, peak_memory_bytes=0)


class Forkserver:
    """A process that has imported the engine, and forks those that run it, one at a time.

    It is to be started by a thread that lives as long as it shall: the kernel's parent-death signal follows that one.
    """

    def __init__(self, ahead: str) -> None:
        self._ahead = ahead
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._rest = b""
        self._process: int | None = None  # as long as the number is its own
        self._spent: Spent | None = LOST
        self.ended = True  # nothing runs

    @property
    def process_id(self) -> int | None:
        """The forkserver's own number, below which the engine runs."""
        return None if self._server is None else self._server.pid

    def warm_up(self) -> None:
        """Have the engine imported, unless that is done or on its way."""
        if self._server is not None and self._server.poll() is None:
            return
        self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "worker.forkserver", self._ahead, str(os.getpid())],
                stdin=theirs.fileno(),
                env=needed(os.environ),  # what it has here, a job could read
                # Ctrl-C in a terminal is the worker's to answer.
                start_new_session=True,
            )
        self._control = ours

    def start(self, descriptors: Sequence[int]) -> None:
        """Start a process with these descriptors: of its assignment, log, answers, and others that it keeps open."""
        try:
            self._ask(descriptors)
        except OSError:  # it had ended just now
            self.close()
            self._ask(descriptors)
        self._rest, self._process, self._spent, self.ended = b"", None, None, False

    def _ask(self, descriptors: Sequence[int]) -> None:
        self.warm_up()
        assert self._control is not None
        socket.send_fds(self._control, [b"+"], descriptors)

    def signal(self, number: int) -> None:
        """Signal the process, and what it has started itself."""
        self.listen(0)
        if self._process is None:
            if not self.ended:
                self.close()  # still at the imports: there is nothing else to stop
            return
        try:
            os.killpg(self._process, number)
        except ProcessLookupError:  # it does not lead a group yet
            with suppress(ProcessLookupError):
                os.kill(self._process, number)

    def listen(self, seconds: float) -> None:
        """Hear what there is to hear within the time; sets `ended` when the process has."""
        until = time.monotonic() + seconds
        while not self.ended and self._readable(max(until - time.monotonic(), 0.0)):
            self._hear()

    def collect(self) -> Spent:
        """Wait for the end of the process; return what it has cost."""
        while not self.ended:
            self._hear()
        if self._spent is None and self._control is not None:
            with suppress(OSError):
                self._control.sendall(b"-")
            while self._spent is None:
                self._hear()
        return self._spent or LOST

    def _readable(self, seconds: float) -> bool:
        assert self._control is not None
        return bool(select.select([self._control], [], [], seconds)[0])

    def _hear(self) -> None:
        """Wait for the next that is said. Where the forkserver has ended, so has the process."""
        assert self._control is not None
        try:
            heard = self._control.recv(READ_BYTES)
        except ConnectionResetError:
            heard = b""
        if not heard:
            self.close()
            return
        *lines, self._rest = (self._rest + heard).split(b"\n")
        for line in lines:
            told = read_told(line)
            if isinstance(told, Started):
                self._process = told.process
            elif isinstance(told, Ended):
                self.ended = True
            else:
                self._process, self._spent = None, told

    def close(self) -> None:
        """End it, and with it what it has started."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        if self._control is not None:
            self._control.close()
        self._server = self._control = self._process = None
        if self._spent is None:
            self._spent = LOST
        self.ended = True
