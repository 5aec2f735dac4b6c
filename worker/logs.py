"""Logs of a worker: lines on stderr."""

from __future__ import annotations

import logging
from typing import Any

from celery import signals

FORMAT = "%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s"
# These say at INFO what is only of interest when they themselves are looked into.
TALKATIVE = ("celery", "kombu", "redis", "alembic", "sqlalchemy", "multiprocessing")


def set_up_logging(level: str) -> None:
    """Log to stderr at `level`, and have Celery leave it so."""
    logging.basicConfig(level=level.upper(), format=FORMAT)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


@signals.setup_logging.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _leave_logging_alone(**_: Any) -> None:
    """Be connected: then Celery sets up no logging of its own."""
