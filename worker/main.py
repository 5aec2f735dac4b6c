"""A worker from start to stop."""

from __future__ import annotations

import json
import logging
import os
import socket
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from celery import signals
from celery.platforms import SecurityWarning

from service.job_notifier import JobNotifier
from service.processes.confinement import hide_from_others, limits_missing
from service.processes.embedded_broker import answers, embedded_broker
from service.settings import Settings
from service.store.database import Database
from worker.app import make_app
from worker.drain import drain_pool
from worker.logs import set_up_logging
from worker.reaper import Reaper

log = logging.getLogger("eigenpress.worker")


def run_worker(settings: Settings, queues: Sequence[str] = ("cpu",), concurrency: int = 1) -> int:
    """Run jobs of `queues`, the first one first, until SIGTERM or SIGINT; return the exit code.

    On either signal the jobs at hand go back to the queue with their checkpoints.
    """
    set_up_logging(settings.log_level)
    hide_from_others()
    lacks = limits_missing()
    for one in lacks:
        log.warning("jobs run without a limit of %s", one)
    with _broker(settings) as broker_url:
        settings = settings.model_copy(update={"broker_url": broker_url})
        # Pool processes start as fresh interpreters: they read the settings from here.
        os.environ.update(settings.environment())
        os.environ["EIGENPRESS_QUEUES"] = json.dumps(list(queues))
        os.environ["EIGENPRESS_CONCURRENCY"] = str(concurrency)
        name = f"worker-{os.getpid()}@{socket.gethostname()}"
        database = Database(settings.database_url)
        with Reaper(settings, database, JobNotifier(broker_url), name, lacks):
            return _consume(broker_url, name, queues, concurrency)


def _consume(broker_url: str, name: str, queues: Sequence[str], concurrency: int) -> int:
    # Messages are JSON and name one task: none brings code along, whoever runs the worker.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    signals.worker_shutting_down.connect(drain_pool)
    worker = make_app(broker_url).Worker(
        hostname=name,
        pool="prefork",
        concurrency=concurrency,
        queues=list(queues),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    log.info("%s serves %s", name, ", ".join(queues))
    worker.start()
    return int(worker.exitcode or 0)


@contextmanager
def _broker(settings: Settings) -> Iterator[str]:
    """Yield the broker of the settings, or the one that runs in the data directory, or our own."""
    if settings.broker_url is not None:
        yield settings.broker_url
        return
    running = JobNotifier(None, settings.broker_url_file).broker_url
    if running is not None and answers(running, 1.0):
        yield running
        return
    with embedded_broker(settings) as url:
        yield url
