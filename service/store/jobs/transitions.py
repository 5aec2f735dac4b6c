"""How a job's state changes, and what is told of it.

Every change is one UPDATE under the conditions that make it right. It counts only if it touched a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from service.store.base import now
from service.store.candidates.best import best_so_far
from service.store.candidates.repository import CandidateRepository
from service.store.events.repository import EventRepository
from service.store.jobs.error import JobError
from service.store.jobs.records import JobRecord

LEVELS = {"failed": "error", "requeued": "warn"}
FREE: dict[str, Any] = {"owner": None, "lease_until": None}
Where = Sequence[ColumnElement[bool]]


class Transitions:
    """Changes of single rows, each under its conditions."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def update(self, where: Where, **values: Any) -> JobRecord | None:
        """Return the row as it is now, or None where the conditions did not hold."""
        query = (
            update(JobRecord)
            .where(*where)
            .values(**values)
            .returning(JobRecord)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return self.session.scalars(query).one_or_none()

    def requeue(self, where: Where, reason: str, attempt: int = 0) -> bool:
        """Let a job wait again, its count of attempts changed by `attempt`; say whether it does."""
        job = self.update(
            where,
            status="queued",
            attempt=JobRecord.attempt + attempt,
            queued_at=now(),
            status_reason=reason,
            **FREE,
        )
        if job is None:
            return False
        self.tell(job.id, "requeued", reason)
        return True

    def end(
        self, where: Where, status: str, *, error: JobError | None = None, **values: Any
    ) -> bool:
        """End a job; say whether it has ended so. A cancelled one keeps the best that it has found."""
        recorded = None if error is None else error.to_json()
        job = self.update(where, status=status, finished_at=now(), error=recorded, **FREE, **values)
        if job is None:
            return False
        if status == "cancelled":
            self._keep_best(job)
        data = {} if error is None else {"code": error.code}
        if values.get("outcome"):
            data["outcome"] = values["outcome"]
        self.tell(job.id, status, "" if error is None else error.detail, data)
        return True

    def tell(
        self, job_id: str, what: str, message: str = "", data: dict[str, Any] | None = None
    ) -> None:
        """Append an event of a job."""
        level = LEVELS.get(what, "info")
        EventRepository(self.session).append(job_id, f"job.{what}", level, message, data)

    def _keep_best(self, job: JobRecord) -> None:
        """Choose among what a job has found before it was cancelled."""
        candidates = CandidateRepository(self.session)
        best = best_so_far(candidates.list(job.id), job.recipe)
        if best is not None:
            self.update([JobRecord.id == job.id], chosen_candidate_id=best.id)
            candidates.choose(best.id)
