"""A supervised command: started again when it dies, gone when it is stopped."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from service.processes.supervised import Supervised
from tests.support.running_service import is_alive
from tests.support.waiting import wait_until

# Writes its process id, starts a child that would live for ever, and waits.
PARENT = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen(['sleep', '600'])
with open(sys.argv[1], 'a') as file:
    file.write(f'{os.getpid()} {child.pid}\\n')
time.sleep(600)
"""


def started(log: Path) -> list[list[int]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [[int(number) for number in line.split()] for line in lines]


def test_a_command_that_dies_is_started_again_and_stop_leaves_nothing(tmp_path):
    log = tmp_path / "log"
    supervised = Supervised("thing", [sys.executable, "-c", PARENT, str(log)], dict(os.environ))
    supervised.start()
    wait_until(lambda: len(started(log)) == 1)
    os.kill(started(log)[0][0], signal.SIGKILL)
    wait_until(lambda: len(started(log)) == 2)
    first, second = started(log)
    wait_until(lambda: not any(is_alive(number) for number in first))
    assert all(is_alive(number) for number in second)
    supervised.stop(grace_seconds=5)
    wait_until(lambda: not any(is_alive(number) for number in second))


def test_stop_before_the_command_ever_ran_again_does_not_start_it(tmp_path):
    log = tmp_path / "log"
    script = f"open({str(log)!r}, 'a').write('1 1\\n'); raise SystemExit(3)"
    supervised = Supervised("thing", [sys.executable, "-c", script], dict(os.environ))
    supervised.start()
    wait_until(lambda: len(started(log)) >= 1)
    supervised.stop(grace_seconds=5)
    ran = len(started(log))
    # Only the thread of this name starts it, and that has ended.
    assert "thing" not in {thread.name for thread in threading.enumerate()}
    assert len(started(log)) == ran


def test_a_command_that_does_not_listen_is_killed(tmp_path, capfd):
    log = tmp_path / "log"
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{PARENT}"
    supervised = Supervised("thing", [sys.executable, "-c", deaf, str(log)], dict(os.environ))
    supervised.start()
    wait_until(lambda: len(started(log)) == 1)
    supervised.stop(grace_seconds=0.5)
    wait_until(lambda: not any(is_alive(number) for number in started(log)[0]))
    assert "did not stop in 0.5 s" in capfd.readouterr().err


def test_a_command_that_cannot_be_started_is_tried_again(tmp_path, capfd):
    tool, log = tmp_path / "tool", tmp_path / "log"
    supervised = Supervised("thing", [str(tool)], dict(os.environ))
    said: list[str] = []

    def has_failed() -> bool:
        said.append(capfd.readouterr().err)
        return "thing could not be started" in "".join(said)

    supervised.start()
    wait_until(has_failed)
    tool.write_text(f"#!/bin/sh\necho 1 1 >> {log}\n")
    tool.chmod(0o700)
    wait_until(lambda: len(started(log)) >= 1)
    supervised.stop(grace_seconds=5)


@pytest.mark.parametrize("moment", range(8))
def test_stop_at_any_moment_leaves_nothing(tmp_path, moment):
    # Also while the command is being started: it may not even have run its first line.
    log = tmp_path / "log"
    supervised = Supervised("thing", [sys.executable, "-c", PARENT, str(log)], dict(os.environ))
    before = set(children())
    supervised.start()
    time.sleep(moment * 0.004)  # not a wait: this is the moment
    supervised.stop(grace_seconds=20)
    wait_until(lambda: not any(is_alive(number) for pair in started(log) for number in pair))
    assert set(children()) <= before, "nothing runs, and nothing waits to be collected"


def children() -> list[int]:
    """Return the direct children of this process, dead ones that nobody collected included."""
    threads = Path("/proc/self/task").glob("*/children")
    return [int(number) for thread in threads for number in thread.read_text().split()]


def test_the_command_dies_with_a_parent_that_is_killed(tmp_path):
    log = tmp_path / "log"
    code = (
        "import os, sys, time; from service.processes.supervised import Supervised;"
        f"Supervised('t', [sys.executable, '-c', {PARENT!r}, {str(log)!r}], dict(os.environ)).start();"
        "time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: len(started(log)) == 1)
    parent.kill()
    parent.wait()
    command, grandchild = started(log)[0]
    wait_until(lambda: not is_alive(command))
    os.kill(grandchild, signal.SIGKILL)
