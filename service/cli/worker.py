"""`eigenpress worker` and `eigenpress migrate`: what a machine of its own runs."""

from __future__ import annotations

from typing import Annotated

import typer


def worker(
    queues: Annotated[
        str, typer.Option(metavar="NAMES", help="Queues to serve, the first one first: cpu, gpu.")
    ] = "cpu",
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="Jobs at a time.")] = 1,
) -> None:
    """Run jobs until stopped: from the queue at EIGENPRESS_BROKER_URL, or the one of the data directory."""
    from service.settings import Settings
    from worker.main import run_worker

    names = [name.strip() for name in queues.split(",") if name.strip()]
    raise typer.Exit(run_worker(Settings(), queues=names, concurrency=concurrency))


def migrate() -> None:
    """Bring the database at EIGENPRESS_DATABASE_URL up to date."""
    from service.settings import Settings
    from service.store.migrations import upgrade

    upgrade(Settings().database_url)
    typer.echo("the database is up to date")
