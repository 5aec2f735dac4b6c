"""The way from the command line to a running service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from service.cli.output import Exit, fail
from service.cli.progress import StageBar

if TYPE_CHECKING:
    from service.client import Client

LOCAL = "http://127.0.0.1:8000"
External = Annotated[
    list[Path] | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        readable=True,
        metavar="FILE",
        help="A file of MODEL's external data, to upload with it; repeat for more.",
    ),
]


def connect(server: str, as_json: bool) -> Client:
    """Return a client of the service at a URL; ends with WRONG_USE where it is none."""
    from service.client import Client

    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        detail = f"--server: {server!r} is not a URL such as {LOCAL}"
        fail(detail, code=Exit.WRONG_USE, as_json=as_json)
    return Client(
        server
    )  # with the key of the environment: an option would show it to all on this machine


def uploading(bar: StageBar, what: str) -> Any:
    """Return a callback that moves the bar along an upload."""
    return lambda sent, total: bar.show(what, sent / max(total, 1))
