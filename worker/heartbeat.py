"""Renews a job's lease beside the work, and brings back whether a cancel was asked for."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType

from service.settings import Settings
from service.store.database import Database
from service.store.jobs.repository import JobRepository

log = logging.getLogger("eigenpress.worker")


class Heartbeat:
    """A thread that renews the lease until the block ends."""

    def __init__(self, settings: Settings, database: Database, job_id: str, fence: int) -> None:
        self.cancel_requested = False
        self._lost = False
        self._settings, self._database = settings, database
        self._job_id, self._fence = job_id, fence
        self._renewed = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    @property
    def lost(self) -> bool:
        """True when the lease is gone, also when the records could not be reached for so long."""
        silent = time.monotonic() - self._renewed
        return self._lost or silent > self._settings.lease_seconds

    def _run(self) -> None:
        while not self._stopping.wait(self._settings.heartbeat_seconds) and not self._lost:
            try:
                self._beat()
            except Exception:
                log.warning("could not renew the lease of %s", self._job_id, exc_info=True)

    def _beat(self) -> None:
        started = time.monotonic()
        with self._database.begin() as session:
            jobs = JobRepository(session)
            lease = jobs.leases.renew(self._job_id, self._fence, self._settings.lease_seconds)
        if lease is None:
            self._lost = True
            return
        self._renewed = started
        self.cancel_requested = self.cancel_requested or lease.cancel_requested

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
