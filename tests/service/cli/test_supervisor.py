"""A supervised command: started again when it dies, gone when it is stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from service.cli.supervisor import Supervised

# Writes its process id, starts a child that would live for ever, and waits.
PARENT = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen(['sleep', '600'])
with open(sys.argv[1], 'a') as file:
    file.write(f'{os.getpid()} {child.pid}\\n')
time.sleep(600)
"""


def lives(process_id: int) -> bool:
    stat = Path(f"/proc/{process_id}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def until(condition, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def started(log: Path) -> list[list[int]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [[int(number) for number in line.split()] for line in lines]


def test_a_command_that_dies_is_started_again_and_stop_leaves_nothing(tmp_path):
    log = tmp_path / "log"
    supervised = Supervised("thing", [sys.executable, "-c", PARENT, str(log)], dict(os.environ))
    supervised.start()
    until(lambda: len(started(log)) == 1)
    os.kill(started(log)[0][0], signal.SIGKILL)
    until(lambda: len(started(log)) == 2)
    first, second = started(log)
    until(lambda: not any(lives(number) for number in first))
    assert all(lives(number) for number in second)
    supervised.stop(grace_seconds=5)
    until(lambda: not any(lives(number) for number in second))


def test_stop_before_the_command_ever_ran_again_does_not_start_it(tmp_path):
    log = tmp_path / "log"
    script = f"open({str(log)!r}, 'a').write('1 1\\n'); raise SystemExit(3)"
    supervised = Supervised("thing", [sys.executable, "-c", script], dict(os.environ))
    supervised.start()
    until(lambda: len(started(log)) >= 1)
    supervised.stop(grace_seconds=5)
    ran = len(started(log))
    time.sleep(1.2)
    assert len(started(log)) == ran


def test_the_command_dies_with_a_parent_that_is_killed(tmp_path):
    log = tmp_path / "log"
    code = (
        "import os, sys, time; from service.cli.supervisor import Supervised;"
        f"Supervised('t', [sys.executable, '-c', {PARENT!r}, {str(log)!r}], dict(os.environ)).start();"
        "time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: len(started(log)) == 1)
    parent.kill()
    parent.wait()
    command, grandchild = started(log)[0]
    until(lambda: not lives(command))
    os.kill(grandchild, signal.SIGKILL)
