"""Runs jobs: claim, heartbeat, engine, and one fenced write at the end."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, Sequence

from service.job_notifier import JobNotifier
from service.settings import Settings
from service.store.artifacts.blobs import ArtifactStore
from service.store.database import Database
from service.store.jobs.records import TERMINAL
from service.store.jobs.repository import JobRepository
from worker.attempt import Attempt, Ending, internal
from worker.claims import Claimed, Stores, claim_next
from worker.drain import Drain
from worker.forkserver_link import Forkserver
from worker.heartbeat import Heartbeat
from worker.options import Engines, WorkerOptions
from worker.results import finish
from worker.workspace import WorkspaceBusyError

log = logging.getLogger("eigenpress.worker")


class Runner:
    """Runs the jobs of some queues, one at a time."""

    def __init__(
        self,
        stores: Stores,
        notifier: JobNotifier,
        drain: Drain,
        forkserver: Forkserver,
        engines: Engines,
        queues: Sequence[str],
        at_once: int = 1,
    ) -> None:
        self._stores, self._notifier, self._drain = stores, notifier, drain
        self._forkserver = forkserver
        self._engines, self._queues, self._at_once = engines, queues, at_once
        self._owner = f"{socket.gethostname()}:{os.getpid()}"

    @classmethod
    def from_environment(cls, drain: Drain, forkserver: Forkserver) -> Runner:
        """Return the runner that the settings of the environment describe."""
        settings, options = Settings(), WorkerOptions()
        stores = Stores(
            settings, Database(settings.database_url), ArtifactStore(settings.artifacts_url)
        )
        notifier = JobNotifier(settings.broker_url, settings.broker_url_file)
        return cls(
            stores,
            notifier,
            drain,
            forkserver,
            options.engines,
            options.queues,
            options.concurrency,
        )

    def run_next(self) -> str | None:
        """Run the job that is next; return its id, or None where nothing waited."""
        if self._drain.requested:
            return None
        claimed = claim_next(self._stores, self._owner, self._queues)
        if claimed is None:
            return None
        log.info("%s: attempt %d", claimed.id, claimed.job.attempt)
        settings = self._stores.settings
        with Heartbeat(settings, self._stores.database, claimed.id, claimed.fence) as heartbeat:
            status = self._run(claimed, heartbeat)
        log.info("%s: %s", claimed.id, status or "lease lost")
        if status == "queued":
            self._notifier.notify(claimed.id, claimed.job.queue)
        return claimed.id

    def _run(self, claimed: Claimed, heartbeat: Heartbeat) -> str | None:
        """Run a job; return its status afterwards, or None when the lease was lost."""
        attempt = Attempt(
            self._stores, claimed, heartbeat, self._forkserver, lambda: self._drain.requested
        )
        try:
            with claimed.workspace.locked(self._stores.settings.lease_seconds) as lock:
                ending = attempt.run(self._engines, lock, self._at_once)
                status = self._conclude(claimed, ending, attempt.usage())
                if status in TERMINAL:
                    claimed.workspace.remove()
                return status
        except WorkspaceBusyError:
            busy = internal("Another process is at work on the job.")
            return self._conclude(claimed, Ending("crash", busy), {})
        except Exception as error:
            log.exception("%s: could not be run", claimed.id)
            unforeseen = internal(f"{type(error).__name__}: {error}")
            return self._conclude(claimed, Ending("crash", unforeseen), {})

    def _conclude(self, claimed: Claimed, ending: Ending, usage: Mapping[str, float]) -> str | None:
        """Write the end of an attempt under the lease; return the job's status, None if lost."""
        if ending.reason == "lost":
            return None
        if ending.done is not None:
            written = finish(self._stores, claimed, ending.done, usage)
            return "succeeded" if written else None
        with self._stores.database.begin() as session:
            jobs = JobRepository(session)
            still_leased = jobs.leases.add_usage(claimed.id, claimed.fence, usage)
            if not (still_leased and self._write(jobs, claimed, ending)):
                return None
            return jobs.status(claimed.id)

    def _write(self, jobs: JobRepository, claimed: Claimed, ending: Ending) -> bool:
        key = claimed.id, claimed.fence
        if ending.reason == "cancelled":
            return jobs.leases.finish(*key, "cancelled")
        if ending.reason == "drained":
            return jobs.leases.release(*key)
        assert ending.error is not None
        if ending.reason == "crash":
            return jobs.leases.retry(*key, self._stores.settings.max_attempts, ending.error)
        return jobs.leases.finish(*key, "failed", error=ending.error)
