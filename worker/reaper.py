"""Brings back what was lost: jobs of dead workers, and messages that never arrived.

Every worker has a reaper, and none leads: each write is conditional, so two that do the same do it once.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from service.job_notifier import JobNotifier
from service.settings import Settings
from service.store.database import Database
from service.store.jobs.records import TERMINAL
from service.store.jobs.repository import JobRepository
from worker.workspace import Workspace, WorkspaceBusyError

log = logging.getLogger("eigenpress.reaper")

ALIVE_ROUNDS = 3


class Reaper:
    """A thread that looks around every `reaper_seconds`, and says that its worker lives."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        notifier: JobNotifier,
        worker: str,
        lacks: Sequence[str] = (),
    ) -> None:
        self._lacks = lacks
        self._settings, self._database = settings, database
        self._notifier, self._worker = notifier, worker
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            for step in (self.tell_alive, self.requeue, self.notify_again, self.sweep):
                try:
                    step()
                except Exception as error:
                    # The other steps may still work; this one is tried again in the next round.
                    log.warning("%s: %s: %s", step.__name__, type(error).__name__, error)
            self._stopping.wait(self._settings.reaper_seconds)

    def tell_alive(self) -> None:
        """Let the API know that there is a worker, and what it cannot limit."""
        seconds = ALIVE_ROUNDS * self._settings.reaper_seconds
        self._notifier.tell_alive(self._worker, seconds, self._lacks)

    def requeue(self) -> list[str]:
        """Take back jobs whose lease has run out; return the ids of those that wait again."""
        with self._database.begin() as session:
            jobs = JobRepository(session)
            requeued = jobs.leases.requeue_expired(self._settings.max_attempts)
            waiting = [(job.id, job.queue) for job in jobs.get_many(requeued)]
        for job_id, queue in waiting:
            log.warning("%s: its worker was lost; it is queued again", job_id)
            self._notifier.notify(job_id, queue)
        return requeued

    def notify_again(self) -> None:
        """Notify of jobs that wait while there are fewer messages than jobs."""
        with self._database.read() as session:
            stale = JobRepository(session).stale_queued(self._settings.reaper_seconds)
        by_queue: dict[str, list[str]] = defaultdict(list)
        for job_id, queue in stale:
            by_queue[queue].append(job_id)
        for queue, job_ids in by_queue.items():
            # Jobs that wait because all workers are busy have their messages already.
            missing = len(job_ids) - self._notifier.pending(queue)
            for job_id in job_ids[: max(missing, 0)]:
                self._notifier.notify(job_id, queue)

    def sweep(self) -> None:
        """Delete the scratch folders of jobs that have ended elsewhere."""
        folder = self._settings.scratch_dir("")
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        if not names:
            return
        with self._database.read() as session:
            jobs = JobRepository(session).get_many(names)
        for job in jobs:
            if job.status in TERMINAL:
                _remove_unless_busy(folder / job.id)

    def __enter__(self) -> Reaper:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(self._settings.reaper_seconds)
        try:
            self._notifier.tell_gone(self._worker)
        except Exception as gone:
            log.debug("the broker is away: %s", gone)


def _remove_unless_busy(folder: Path) -> None:
    try:
        with Workspace(folder).locked(0):
            shutil.rmtree(folder, ignore_errors=True)
    except WorkspaceBusyError:
        log.debug("%s is still in use", folder.name)
