"""Who may work on a job: claims, leases and fencing tokens.

Of two workers who believe to hold a job, one writes and the other learns that it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from service.store.base import now
from service.store.candidates.repository import CandidateRepository
from service.store.jobs.error import JobError
from service.store.jobs.records import HELD, JobRecord
from service.store.jobs.running import has_room
from service.store.jobs.transitions import Transitions, Where


@dataclass(frozen=True)
class Lease:
    """A lease that was renewed."""

    cancel_requested: bool


class Leases:
    """What workers write about the jobs that they hold."""

    def __init__(self, session: Session) -> None:
        self._session, self._transitions = session, Transitions(session)

    def claim(
        self, job_id: str, owner: str, lease_seconds: float, max_running: int | None = None
    ) -> int | None:
        """Take a queued job; return the fencing token, or None when it is not to be had.

        Nor is it where `max_running` jobs of its tenant run already.
        """
        moment = now()
        taken = self._transitions.update(
            [JobRecord.id == job_id, JobRecord.status == "queued", *has_room(max_running)],
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
        self._transitions.tell(job_id, "started", data={"attempt": taken.attempt})
        return taken.fence

    def renew(self, job_id: str, fence: int, lease_seconds: float) -> Lease | None:
        """Extend the lease; None when it is lost."""
        until = now() + timedelta(seconds=lease_seconds)
        job = self._transitions.update(_held(job_id, fence), lease_until=until)
        return Lease(job.status == "cancelling") if job else None

    def holds(self, job_id: str, fence: int) -> bool:
        """Say whether the lease still stands, and keep it so until this transaction ends."""
        return self._transitions.update(_held(job_id, fence), fence=fence) is not None

    def progress(self, job_id: str, fence: int, stage: str, progress: Mapping[str, Any]) -> bool:
        """Record how far the job is; False when the lease is lost, and nothing was written."""
        job = self._transitions.update(_held(job_id, fence), stage=stage, progress=dict(progress))
        return job is not None

    def add_usage(self, job_id: str, fence: int, usage: Mapping[str, float]) -> bool:
        """Add what an attempt has cost; False when the lease is lost, and nothing was written."""
        job = self._transitions.update(_held(job_id, fence), fence=fence)
        if job is None:
            return False
        return (
            self._transitions.update(_held(job_id, fence), usage=_summed(job.usage or {}, usage))
            is not None
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
        error: JobError | None = None,
        chosen_candidate_id: str | None = None,
        report_json_sha256: str | None = None,
        report_html_sha256: str | None = None,
        report_csv_sha256: str | None = None,
    ) -> bool:
        """End the job; False when the lease is lost, and nothing was written."""
        ended = self._transitions.end(
            _held(job_id, fence),
            status,
            status_reason=status_reason,
            outcome=outcome,
            result=result,
            error=error,
            chosen_candidate_id=chosen_candidate_id,
            report_json_sha256=report_json_sha256,
            report_html_sha256=report_html_sha256,
            report_csv_sha256=report_csv_sha256,
        )
        if not ended:
            return False
        if chosen_candidate_id is not None:
            CandidateRepository(self._session).choose(chosen_candidate_id)
        return True

    def release(self, job_id: str, fence: int) -> bool:
        """Give a job back without burning an attempt; one that is being cancelled is cancelled."""
        under_lease = _held(job_id, fence)
        running = [*under_lease, JobRecord.status == "running"]
        back = self._transitions.requeue(running, "worker shut down", attempt=-1)
        return back or self._transitions.end(under_lease, "cancelled")

    def retry(self, job_id: str, fence: int, max_attempts: int, error: JobError) -> bool:
        """Requeue a job whose attempt went wrong; after the last attempt it fails with `error`."""
        return self._retry(_held(job_id, fence), max_attempts, error) is not None

    def requeue_expired(self, max_attempts: int = 3) -> list[str]:
        """Take back the jobs of silent workers; return the ids of those that are queued again.

        Beyond `max_attempts` a job fails with worker-lost; one that was being cancelled is cancelled.
        """
        error = JobError(
            code="worker-lost",
            detail=f"The worker was lost in each of {max_attempts} attempts.",
            retryable=True,
        )
        return [
            job.id
            for job in self._expired()
            if self._retry(_expired(job), max_attempts, error) == "queued"
        ]

    def _expired(self) -> list[JobRecord]:
        """Return the jobs whose lease has run out."""
        query = select(JobRecord).where(JobRecord.status.in_(HELD), JobRecord.lease_until < now())
        return list(self._session.scalars(query))

    def _retry(
        self, under_lease: Where, max_attempts: int, error: JobError
    ) -> Literal["queued", "cancelled", "failed"] | None:
        """Return what became of a job whose attempt went wrong; None when it is not held."""
        again = [*under_lease, JobRecord.status == "running", JobRecord.attempt < max_attempts]
        if self._transitions.requeue(again, error.detail):
            return "queued"
        if self._transitions.end([*under_lease, JobRecord.status == "cancelling"], "cancelled"):
            return "cancelled"
        return "failed" if self._transitions.end(under_lease, "failed", error=error) else None


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
