"""What a message does: wake a pool process, which then asks the records what there is to do."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from celery import shared_task, signals

from service.processes.confinement import hide_from_others
from service.processes.parent_death import die_with_parent
from service.settings import Settings
from worker.drain import Drain
from worker.forkserver_link import Forkserver
from worker.logs import set_up_logging
from worker.options import WorkerOptions

if TYPE_CHECKING:
    from worker.runner import Runner

log = logging.getLogger("eigenpress.worker")


class PoolProcess:
    """What one process of the pool keeps from job to job: nothing of a job, but what every one needs."""

    def __init__(self) -> None:
        self._drain = Drain()
        self._forkserver = Forkserver(WorkerOptions().ahead)
        self._runner: Runner | None = None

    def warm_up(self) -> None:
        """Do ahead of the first job what takes long."""
        self._forkserver.warm_up()
        try:
            self._open()
        except Exception as error:  # the records may be away: it is tried again with a job
            log.warning("not ready yet: %s: %s", type(error).__name__, error)

    def run_next(self) -> None:
        """Run the job that is next."""
        with self._drain.listening():
            self._open().run_next()

    def _open(self) -> Runner:
        if self._runner is None:
            from worker.runner import Runner

            self._runner = Runner.from_environment(self._drain, self._forkserver)
        return self._runner


@cache
def pool_process() -> PoolProcess:
    """Return what this process keeps."""
    return PoolProcess()


def run_job(job_id: str) -> None:
    """Run the job that is next. The message's own job is but the reason to look."""
    log.debug("woken for %s", job_id)
    pool_process().run_next()


def _start_pool_process(**_: Any) -> None:
    # Without its worker nobody would stop it, and it would hold a GPU beside the next worker.
    die_with_parent()
    hide_from_others()  # its environment holds what the job's process must not know
    set_up_logging(Settings().log_level)
    pool_process().warm_up()


shared_task(name="eigenpress.run_job")(run_job)
signals.worker_process_init.connect(_start_pool_process, weak=False)
