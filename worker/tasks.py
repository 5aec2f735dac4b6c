"""What a message does: wake a pool process, which then asks the records what there is to do."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task, signals

from service.processes.parent_death import die_with_parent
from service.settings import Settings
from worker.drain import Drain
from worker.logs import set_up_logging

log = logging.getLogger("eigenpress.worker")


def run_job(job_id: str) -> None:
    """Run the job that is next. The message's own job is but the reason to look."""
    from worker.runner import Runner

    log.debug("woken for %s", job_id)
    drain = Drain()
    with drain.listening():
        Runner.from_environment(drain).run_next()


def _start_pool_process(**_: Any) -> None:
    # Without its worker nobody would stop it, and it would hold a GPU beside the next worker.
    die_with_parent()
    set_up_logging(Settings().log_level)


shared_task(name="eigenpress.run_job")(run_job)
signals.worker_process_init.connect(_start_pool_process, weak=False)
