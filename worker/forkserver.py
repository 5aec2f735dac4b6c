"""`python -m worker.forkserver MODULE PARENT`: imports the engine once, and forks a process from there for each task.

The parent speaks through stdin, a socket: a byte with the descriptors of a process to start, and one to have it
collected. Nothing but imports happens here, so that each process begins as a fresh interpreter would, seconds earlier.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from service.processes.confinement import adopt_orphans
from service.processes.parent_death import die_with_parent
from worker.cage.usage import below
from worker.child import ANSWERS
from worker.child import main as run_task
from worker.messages import Ended, Message, Spent, Started
from worker.started_memory import StartedMemory

MOST_DESCRIPTORS = 16
THREADS = Path("/proc/self/task")


def main() -> int:
    """Import the engine; start a process whenever asked, until the parent is gone."""
    module, parent = sys.argv[1], int(sys.argv[2])
    die_with_parent(parent=parent)
    adopt_orphans()
    control = _take_stdin()
    run = run_task if _warm_up(module) else _run_afresh
    while descriptors := _asked(control):
        _serve(control, descriptors, run)
    return 0


def _take_stdin() -> socket.socket:
    control = socket.socket(fileno=os.dup(0))
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return control


def _warm_up(module: str) -> bool:
    """Import what the engine needs; say whether a process can be forked with it.

    One with threads cannot: in the fork they are gone, and what they held stays locked.
    """
    try:
        import_module(module)
    except Exception:
        traceback.print_exc()  # a job that needs it says so too
    gc.collect()
    gc.freeze()  # what is never collected is never written to, and stays shared
    alone = _is_alone()
    if not alone:
        print("the engine's imports start threads: each job imports them anew", file=sys.stderr)
    return alone


def _is_alone() -> bool:
    """Say whether a fork loses no thread; those of libraries that end them before each fork do not count."""
    if not THREADS.is_dir():
        return False
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return len(list(THREADS.iterdir())) == 1


def _asked(control: socket.socket) -> list[int]:
    """Return the descriptors of the next process; none when the parent is gone."""
    _, descriptors, _, _ = socket.recv_fds(control, 1, MOST_DESCRIPTORS)
    return descriptors


def _serve(control: socket.socket, descriptors: Sequence[int], run: Callable[[], int]) -> None:
    """Start one process, and stay with it to its end."""
    host = os.getpid()
    process = os.fork()
    if process == 0:
        control.close()
        _become(host, descriptors, run)
    for descriptor in descriptors:
        os.close(descriptor)
    _tell(control, Started(process=process))
    _tell(control, _stay_with(process, control))


def _become(host: int, descriptors: Sequence[int], run: Callable[[], int]) -> None:
    """Be the engine's process, and end as it ends."""
    code = 1
    try:
        os.setsid()  # Ctrl-C in a terminal is the worker's to answer
        die_with_parent(parent=host)
        _lay_out(descriptors)
        code = run()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _lay_out(descriptors: Sequence[int]) -> None:
    """Put assignment, log and answers where a process of the engine finds them; the rest stays open."""
    # Out of the way first: none is to be put where another one still lies. Copies made so outlive an exec.
    above = [fcntl.fcntl(one, fcntl.F_DUPFD, ANSWERS + 1) for one in descriptors]
    for one in descriptors:
        os.close(one)
    assignment, log, answers, *_ = above
    for source, descriptor in ((assignment, 0), (log, 1), (log, 2), (answers, ANSWERS)):
        os.dup2(source, descriptor)
    for one in {assignment, log, answers}:
        os.close(one)


def _run_afresh() -> int:
    os.execv(sys.executable, [sys.executable, "-m", "worker.child"])


def _stay_with(process: int, control: socket.socket) -> Spent:
    """Wait for the end of a process, tell it, and collect it when nobody signals it any more."""
    started = StartedMemory(process)
    started.watch()
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        _let_go(control)
        _end_all(process)
        return _collect(process, started.peak_bytes)
    spent = _collect(process, started.peak_bytes)  # a system that cannot wait without collecting
    _let_go(control)
    return spent


def _let_go(control: socket.socket) -> None:
    _tell(control, Ended())
    control.recv(1)


def _end_all(process: int) -> None:
    """End what the engine has left behind, also where that leads a session of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    for left in set(below(os.getpid())) - {process}:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(left, signal.SIGKILL)
        with suppress(ChildProcessError):  # of another parent, which is gone with the next
            os.waitpid(left, 0)


def _collect(process: int, beside_bytes: int) -> Spent:
    _, status, spent = os.wait4(process, 0)
    return Spent(
        exit_code=os.waitstatus_to_exitcode(status),
        cpu_seconds=round(spent.ru_utime + spent.ru_stime, 3),
        peak_memory_bytes=spent.ru_maxrss * 1024 + beside_bytes,
    )


def _tell(control: socket.socket, message: Message) -> None:
    control.sendall(message.to_line())


if __name__ == "__main__":
    sys.exit(main())
