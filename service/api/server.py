"""The API under uvicorn, stopping in seconds also while streams are open."""

from __future__ import annotations

import gc
import logging
import socket

import uvicorn

from service.api.app import create_app
from service.api.application import Application
from service.settings import Settings
from service.store.keys.repository import KeyRepository

log = logging.getLogger("eigenpress.api")
GRACE_SECONDS = 5


class Server(uvicorn.Server):
    """Tells open event streams and long polls to end before it waits for them."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; then take what is loaded out of every later garbage collection."""
        await super().startup(sockets)
        # Walking all that FastAPI and pydantic hold is what the slowest answers waited for:
        # under load this more than halves the 99th percentile.
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: first the streams, then the connections."""
        self._application.closing = True
        await super().shutdown(sockets)


def make_server(settings: Settings) -> Server:
    """Return a server for `settings`; `server.run()` serves until SIGINT or SIGTERM."""
    app = create_app(settings)
    _tell_when_closed(app.state.application)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        timeout_graceful_shutdown=GRACE_SECONDS,
        access_log=False,
        server_header=False,
        log_level=settings.log_level.lower(),
    )
    return Server(config, app.state.application)


def _tell_when_closed(application: Application) -> None:
    """Say how to make the first key where nobody can be let in yet.

    The service starts all the same: a container that refuses to start is no place to make a key in.
    """
    settings = application.settings
    if settings.opens_to_this_machine:
        return
    with application.database.read() as session:
        if any(key.status == "active" for key in KeyRepository(session).list()):
            return
    log.warning(
        "%s port %d asks for a key and none exists: every request is refused until `eigenpress keys create`, run with "
        "the same EIGENPRESS_DATABASE_URL or EIGENPRESS_DATA_DIR, has made one",
        settings.host,
        settings.port,
    )
