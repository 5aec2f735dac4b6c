"""Keeps a subprocess running, and never leaves it behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

from service.cli.output import say

PR_SET_PDEATHSIG = 1
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)
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
        process = self._process
        if process is not None:
            _signal(process, signal.SIGTERM)
            try:
                process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                say(f"{self.name} did not stop in {grace_seconds:g} s and is killed")
            _kill_group(process)
        self._thread.join(grace_seconds)

    def _keep_running(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            born = time.monotonic()
            self._process = process = self._spawn()
            code = process.wait()
            if self._stopping.is_set():
                return
            _kill_group(process)
            if time.monotonic() - born > HEALTHY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            say(f"{self.name} ended with {code} and is started again in {pause:g} s")
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _spawn(self) -> subprocess.Popen[bytes]:
        # stdout carries what `serve` says to programs; a worker's log goes to stderr.
        return subprocess.Popen(
            self.command,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call, looked up before: no lock
        )


def _die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies, however it dies."""
    if _PRCTL is not None:
        _PRCTL(PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        process.send_signal(number)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what the command may have left behind in its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
    process.wait()
