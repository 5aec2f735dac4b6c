"""`eigenpress serve`: API, queue and worker on one machine, nothing else to install."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.output import Exit, fail, say

if TYPE_CHECKING:
    from service.settings import Settings

WORKER_GRACE_SECONDS = 15.0
BACKLOG = 512


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind. [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="0 takes a free one. [default: 8000]")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Records, artifacts and scratch files.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Jobs at a time; 0 for the API alone.")] = 1,
) -> None:
    """Serve the API with a worker, until Ctrl-C.

    Without EIGENPRESS_BROKER_URL the queue is an embedded Valkey. Prints one line with the URL on stdout when ready.
    """
    settings = _settings(host=host, port=port, data_dir=data_dir)
    with _until_signalled(), ExitStack() as running:
        listener = running.enter_context(_listen(settings.host, settings.port))
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        _migrate(settings)
        settings = _with_broker(settings, running)
        if workers:
            running.callback(_start_worker(settings, workers).stop, WORKER_GRACE_SECONDS)
        _serve_api(settings, listener)


def _settings(**given: Any) -> Settings:
    from service.settings import Settings

    return Settings(**{name: value for name, value in given.items() if value is not None})


@contextmanager
def _until_signalled() -> Iterator[None]:
    """Leave the block on SIGINT or SIGTERM, by an exception that lets everything be stopped."""

    def leave(number: int, frame: object) -> None:  # noqa: ARG001 - a signal handler takes both
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Signalled

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except _Signalled:
        say("stopped")


class _Signalled(BaseException):
    """SIGINT or SIGTERM came."""


def _listen(host: str, port: int) -> socket.socket:
    """Bind before anything else starts, so that a taken port costs nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        fail(f"cannot listen on {host} port {port}: {error.strerror}", code=Exit.FAILED)


def _migrate(settings: Settings) -> None:
    from service.store.migrations import upgrade

    Path(settings.data_dir).mkdir(parents=True, exist_ok=True)
    upgrade(settings.database_url)


def _with_broker(settings: Settings, running: ExitStack) -> Settings:
    """Start the embedded queue where no other is named."""
    if settings.broker_url is not None:
        return settings
    from service.processes.embedded_broker import BrokerUnavailableError, embedded_broker

    try:
        url = running.enter_context(embedded_broker(settings))
    except BrokerUnavailableError as error:
        fail(str(error))
    return settings.model_copy(update={"broker_url": url})


def _start_worker(settings: Settings, concurrency: int) -> Any:
    from service.processes.supervised import Supervised

    command = [sys.executable, "-m", "worker", "--queues", "cpu,gpu"]
    worker = Supervised(
        "worker",
        [*command, "--concurrency", str(concurrency)],
        {**os.environ, **settings.environment()},
    )
    worker.start()
    return worker


def _serve_api(settings: Settings, listener: socket.socket) -> None:
    from service.api.server import make_server

    server = make_server(settings)
    threading.Thread(target=_announce, args=(server, settings), daemon=True).start()
    server.run(sockets=[listener])


def _announce(server: Any, settings: Settings) -> None:
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.02)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    typer.echo(
        f"Eigenpress is ready at http://{host}:{settings.port} (data in {settings.data_dir})"
    )
    sys.stdout.flush()
