"""Keeps a subprocess running, and never leaves it behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from service.processes.parent_death import die_with_parent

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
HEALTHY_SECONDS = 60.0


class Supervised:
    """A command that is started again when it ends, until `stop`.

    The command leads a process group of its own, so that Ctrl-C in a terminal reaches it only through
    `stop`, and what it started can be ended with it.
    """

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.name, self.command, self.env = name, list(command), dict(env)
        self._stopping = threading.Event()
        # Held by whoever starts, signals or collects the process: so nothing is started after `stop`, and
        # no signal goes to a number that is another's by now.
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        # One thread for the whole life: the kernel's parent-death signal follows the thread that
        # started the child, not the process.
        self._thread = threading.Thread(target=self._keep_running, name=name, daemon=True)

    def start(self) -> None:
        """Start the command."""
        self._thread.start()

    def stop(self, grace_seconds: float) -> None:
        """End the command: SIGTERM, then SIGKILL for whatever of its group is left."""
        self._stopping.set()
        self._signal(os.kill, signal.SIGTERM)
        self._thread.join(grace_seconds)
        if self._thread.is_alive():
            _say(f"{self.name} did not stop in {grace_seconds:g} s and is killed")
            self._signal(os.killpg, signal.SIGKILL)
            self._thread.join()

    def _signal(self, send: Callable[[int, int], None], number: int) -> None:
        with self._lock:
            if self._process is not None:
                send(self._process.pid, number)

    def _keep_running(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            born = time.monotonic()
            ending = self._run_once()
            if self._stopping.is_set():
                return
            if time.monotonic() - born > HEALTHY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            _say(f"{self.name} {ending} and is started again in {pause:g} s")
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _run_once(self) -> str:
        """Run the command from its start to its end; return how it ended."""
        try:
            process = self._spawn()
            return f"ended with {self._collect(process)}" if process is not None else "was stopped"
        except OSError as error:
            return f"could not be started ({error})"

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        """Start the command; None when it is to run no more."""
        with self._lock:
            if self._stopping.is_set():
                return None
            # stdout carries what `serve` says to programs; a worker's log goes to stderr.
            self._process = subprocess.Popen(
                self.command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(signal.SIGTERM),  # noqa: PLW1509  # one system call
            )
            return self._process

    def _collect(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the command's end, end what it left behind in its group; return its exit code."""
        _wait_and_leave(process)
        with self._lock:
            self._process = None
            # As long as the command is not collected, its number and its group's are its own.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


def _wait_and_leave(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has ended, and leave it to be collected, where the system can."""
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:
        process.wait()


def _say(text: str) -> None:
    """Tell the person something: stdout is for what programs read."""
    print(text, file=sys.stderr, flush=True)
