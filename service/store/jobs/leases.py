"""Who may work on a job: claims, leases and fencing tokens.

Every write here is one UPDATE under the conditions that make it right. It counts only if it touched a row,
so that of two workers who believe to hold a job, one writes and the other learns that it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from service.store.base import now
from service.store.candidates.best import best_so_far
from service.store.candidates.repository import CandidateRepository
from service.store.events.repository import EventRepository
from service.store.jobs.records import HELD, JobRecord

LEVELS = {"failed": "error", "requeued": "warn"}
FREE: dict[str, Any] = {"owner": None, "lease_until": None}


@dataclass(frozen=True)
class Lease:
    """A lease that was renewed."""

    cancel_requested: bool


class Leases:
    """The part of the job repository that workers write through."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def claim(self, job_id: str, owner: str, lease_seconds: float) -> int | None:
        """Take a queued job; return the fencing token, or None when it is not to be had."""
        moment = now()
        taken = self._update(
            [JobRecord.id == job_id, JobRecord.status == "queued"],
            status="running",
            status_reason=None,
            attempt=JobRecord.attempt + 1,
            fence=JobRecord.fence + 1,
            owner=owner,
            lease_until=moment + timedelta(seconds=lease_seconds),
            started_at=func.coalesce(JobRecord.started_at, moment),
        )
        if taken is None:
            return None
        self._tell(job_id, "started", data={"attempt": taken.attempt})
        return taken.fence

    def renew(self, job_id: str, fence: int, lease_seconds: float) -> Lease | None:
        """Extend the lease; None when it is lost."""
        until = now() + timedelta(seconds=lease_seconds)
        held = self._update(_held(job_id, fence), lease_until=until)
        return Lease(held.status == "cancelling") if held else None

    def holds(self, job_id: str, fence: int) -> bool:
        """Say whether the lease still stands, and keep it so until this transaction ends."""
        return self._update(_held(job_id, fence), fence=fence) is not None

    def progress(self, job_id: str, fence: int, stage: str, progress: Mapping[str, Any]) -> bool:
        """Record how far the job is; False when the lease is lost, and nothing was written."""
        held = self._update(_held(job_id, fence), stage=stage, progress=dict(progress))
        return held is not None

    def add_usage(self, job_id: str, fence: int, usage: Mapping[str, float]) -> bool:
        """Add what an attempt has cost; False when the lease is lost, and nothing was written."""
        held = self._update(_held(job_id, fence), fence=fence)
        if held is None:
            return False
        return (
            self._update(_held(job_id, fence), usage=_summed(held.usage or {}, usage)) is not None
        )

    def finish(
        self,
        job_id: str,
        fence: int,
        status: str,
        *,
        status_reason: str | None = None,
        outcome: str | None = None,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
        chosen_candidate_id: str | None = None,
        report_json_sha256: str | None = None,
        report_html_sha256: str | None = None,
        report_csv_sha256: str | None = None,
    ) -> bool:
        """End the job; False when the lease is lost, and nothing was written."""
        values = {
            "status_reason": status_reason,
            "outcome": outcome,
            "result": result,
            "error": error,
            "chosen_candidate_id": chosen_candidate_id,
            "report_json_sha256": report_json_sha256,
            "report_html_sha256": report_html_sha256,
            "report_csv_sha256": report_csv_sha256,
        }
        if not self._end(_held(job_id, fence), job_id, status, **values):
            return False
        if chosen_candidate_id is not None:
            CandidateRepository(self.session).choose(chosen_candidate_id)
        return True

    def release(self, job_id: str, fence: int) -> bool:
        """Give a job back without burning an attempt; one that is being cancelled is cancelled."""
        held = _held(job_id, fence)
        back = self._requeue(
            [*held, JobRecord.status == "running"], job_id, "worker shut down", attempt=-1
        )
        return back or self._end(held, job_id, "cancelled")

    def retry(self, job_id: str, fence: int, max_attempts: int, error: dict[str, Any]) -> bool:
        """Requeue a job whose attempt went wrong; after the last attempt it fails with `error`."""
        held = _held(job_id, fence)
        return self._retry(held, job_id, max_attempts, error)

    def requeue_expired(self, max_attempts: int = 3) -> list[str]:
        """Take back the jobs of silent workers; return the ids of those that are queued again.

        Beyond `max_attempts` a job fails with worker-lost; one that was being cancelled is cancelled.
        """
        error = {
            "code": "worker-lost",
            "detail": f"The worker was lost in each of {max_attempts} attempts.",
            "retryable": True,
        }
        requeued = []
        for job in self.expired():
            written = self._retry(_expired(job), job.id, max_attempts, error)
            if written and self.status(job.id) == "queued":
                requeued.append(job.id)
        return requeued

    def expired(self) -> list[JobRecord]:
        """Return the jobs whose lease has run out."""
        query = select(JobRecord).where(JobRecord.status.in_(HELD), JobRecord.lease_until < now())
        return list(self.session.scalars(query))

    def stale_queued(self, older_than: float) -> list[tuple[str, str]]:
        """Return (id, queue) of the jobs that have waited for more than so many seconds."""
        query = (
            select(JobRecord.id, JobRecord.queue)
            .where(
                JobRecord.status == "queued",
                JobRecord.queued_at < now() - timedelta(seconds=older_than),
            )
            .order_by(JobRecord.priority.desc(), JobRecord.id)
        )
        return [(row.id, row.queue) for row in self.session.execute(query)]

    def status(self, job_id: str) -> str:
        """Return a job's status as it is now."""
        query = select(JobRecord.status).where(JobRecord.id == job_id)
        return self.session.execute(query).scalar_one()

    def _retry(
        self,
        held: list[ColumnElement[bool]],
        job_id: str,
        max_attempts: int,
        error: dict[str, Any],
    ) -> bool:
        again = [*held, JobRecord.status == "running", JobRecord.attempt < max_attempts]
        return (
            self._requeue(again, job_id, str(error["detail"]))
            or self._end([*held, JobRecord.status == "cancelling"], job_id, "cancelled")
            or self._end(held, job_id, "failed", error=error)
        )

    def _requeue(
        self, where: list[ColumnElement[bool]], job_id: str, reason: str, attempt: int = 0
    ) -> bool:
        moment = now()
        values = {"queued_at": moment, "status_reason": reason, **FREE}
        count = JobRecord.attempt + attempt
        if self._update(where, status="queued", attempt=count, **values) is None:
            return False
        self._tell(job_id, "requeued", reason)
        return True

    def _end(
        self, where: list[ColumnElement[bool]], job_id: str, status: str, **values: Any
    ) -> bool:
        job = self._update(where, status=status, finished_at=now(), **FREE, **values)
        if job is None:
            return False
        if status == "cancelled":
            self._keep_best(job)
        error = values.get("error") or {}
        data = {key: error[key] for key in ("code",) if key in error}
        if values.get("outcome"):
            data["outcome"] = values["outcome"]
        self._tell(job_id, status, str(error.get("detail", "")), data)
        return True

    def _keep_best(self, job: JobRecord) -> None:
        """Choose among what a job has found before it was cancelled."""
        candidates = CandidateRepository(self.session)
        best = best_so_far(candidates.list(job.id), job.recipe)
        if best is not None:
            self._update([JobRecord.id == job.id], chosen_candidate_id=best.id)
            candidates.choose(best.id)

    def _update(self, where: list[ColumnElement[bool]], **values: Any) -> JobRecord | None:
        """Return the row as it is now, or None where the conditions did not hold."""
        query = (
            update(JobRecord)
            .where(*where)
            .values(**values)
            .returning(JobRecord)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return self.session.scalars(query).one_or_none()

    def _tell(
        self, job_id: str, what: str, message: str = "", data: dict[str, Any] | None = None
    ) -> None:
        level = LEVELS.get(what, "info")
        EventRepository(self.session).append(job_id, f"job.{what}", level, message, data)


def _held(job_id: str, fence: int) -> list[ColumnElement[bool]]:
    return [JobRecord.id == job_id, JobRecord.fence == fence, JobRecord.status.in_(HELD)]


def _expired(job: JobRecord) -> list[ColumnElement[bool]]:
    # The lease is looked at again: its worker may have come back since the row was read.
    return [*_held(job.id, job.fence), JobRecord.lease_until < now()]


def _summed(before: Mapping[str, Any], usage: Mapping[str, float]) -> dict[str, Any]:
    """Add seconds, and take the higher peak."""
    total = dict(before)
    for name, value in usage.items():
        earlier = total.get(name) or 0
        total[name] = max(earlier, value) if name.startswith("peak_") else earlier + value
    return total
