"""A real PostgreSQL server of one's own, where the machine has the programs for it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.running_api import free_port
from tests.support.waiting import wait_until


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server until the block ends; yields its SQLAlchemy URL."""
    programs = _programs()
    # PostgreSQL refuses to run as root, and its user cannot look into root's folders.
    account: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="eigenpress-postgres-"))
    if account:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    data, port = folder / "data", free_port()
    init = [programs / "initdb", "-D", data, "-U", "eigenpress", "--auth=trust", "--no-sync"]
    try:
        subprocess.run(init, check=True, capture_output=True, cwd=folder, **account)
        serve = [
            programs / "postgres",
            "-D",
            data,
            "-p",
            str(port),
            "-k",
            folder,
            "-c",
            "fsync=off",
        ]
        with tempfile.TemporaryFile() as log:
            server = subprocess.Popen(serve, stdout=log, stderr=log, cwd=folder, **account)
        try:
            url = f"postgresql://eigenpress@127.0.0.1:{port}/postgres"
            wait_until(lambda: _answers(url))
            yield url.replace("postgresql:", "postgresql+psycopg:")
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _programs() -> Path:
    """Return the folder of the server's programs; skip the test where there is none."""
    folders = [Path(name).parent for name in (shutil.which("initdb"),) if name is not None]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("there is no PostgreSQL server: neither on PATH nor in /usr/lib/postgresql")
