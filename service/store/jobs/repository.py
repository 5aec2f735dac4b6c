"""All SQL on jobs: compressions and analyses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from service.errors import JobTerminal, NotFound
from service.store.base import now
from service.store.events.repository import EventRepository
from service.store.ids import new_id
from service.store.jobs.leases import Leases
from service.store.jobs.records import PREFIXES, STATUSES, JobRecord
from service.store.jobs.running import busy_tenants
from service.store.jobs.transitions import Transitions
from service.store.paging import Order, page
from service.store.tenancy import OF_ALL_TENANTS


class JobRepository:
    """Jobs of every kind; what their holders write goes through `leases`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.leases = Leases(session)

    def create(
        self,
        *,
        model_id: str,
        dataset_id: str | None,
        recipe: dict[str, Any],
        kind: str = "compression",
        metadata: dict[str, str] | None = None,
        priority: int = 0,
        limits: dict[str, Any] | None = None,
        queue: str = "cpu",
    ) -> JobRecord:
        """Queue a job."""
        moment = now()
        record = JobRecord(
            id=new_id(PREFIXES[kind]),
            kind=kind,
            status="queued",
            model_id=model_id,
            dataset_id=dataset_id,
            recipe=recipe,
            metadata_=metadata or {},
            priority=priority,
            limits=limits or {},
            queue=queue,
            attempt=0,
            fence=0,
            last_sequence=0,
            created_at=moment,
            queued_at=moment,
        )
        self.session.add(record)
        self.session.flush()
        EventRepository(self.session).append(record.id, "job.queued")
        return record

    def get(self, job_id: str) -> JobRecord | None:
        """Return a job, or None."""
        return self.session.get(JobRecord, job_id)

    def get_many(self, job_ids: Collection[str]) -> Sequence[JobRecord]:
        """Return those of the jobs that exist."""
        return self.session.scalars(select(JobRecord).where(JobRecord.id.in_(job_ids))).all()

    def list(
        self,
        *,
        kind: str = "compression",
        status: str | None = None,
        model_id: str | None = None,
        metadata: dict[str, str] | None = None,
        after: str | None = None,
        limit: int = 20,
        order: Order = "desc",
    ) -> Sequence[JobRecord]:
        """Return the jobs of a kind that follow `after` and match every filter."""
        query = select(JobRecord).where(JobRecord.kind == kind)
        if status is not None:
            query = query.where(JobRecord.status == status)
        if model_id is not None:
            query = query.where(JobRecord.model_id == model_id)
        for key, value in (metadata or {}).items():
            query = query.where(JobRecord.metadata_[key].as_string() == value)
        return self.session.scalars(page(query, JobRecord.id, after, limit, order)).all()

    def queue_position(self, job: JobRecord) -> int | None:
        """Return how many jobs of its queue start before this one, plus one; None if not queued."""
        if job.status != "queued":
            return None
        same_priority = and_(JobRecord.priority == job.priority, JobRecord.id < job.id)
        earlier = or_(JobRecord.priority > job.priority, same_priority)
        query = (
            select(func.count())
            .select_from(JobRecord)
            .where(JobRecord.status == "queued", JobRecord.queue == job.queue, earlier)
            # A number alone: when a job starts depends on who else waits.
            .execution_options(**{OF_ALL_TENANTS: True})
        )
        return self.session.execute(query).scalar_one() + 1

    def next_queued(
        self, queues: Sequence[str], kind: str | None = None, max_running: int | None = None
    ) -> str | None:
        """Return the id of the job that is to start next: highest priority, then oldest.

        Jobs of tenants of which `max_running` run already are passed over.
        """
        query = (
            select(JobRecord.id)
            .where(JobRecord.status == "queued", JobRecord.queue.in_(queues))
            .order_by(JobRecord.priority.desc(), JobRecord.id)
            .limit(1)
        )
        if kind is not None:
            query = query.where(JobRecord.kind == kind)
        if max_running is not None:
            query = query.where(JobRecord.tenant.not_in(busy_tenants(max_running)))
        return self.session.execute(query).scalar_one_or_none()

    def stale_queued(self, older_than: float) -> Sequence[tuple[str, str]]:
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

    def count_by_status(self) -> dict[str, int]:
        """Return how many jobs there are in every status."""
        query = select(JobRecord.status, func.count()).group_by(JobRecord.status)
        counts = {row[0]: row[1] for row in self.session.execute(query)}
        return {status: counts.get(status, 0) for status in STATUSES}

    def oldest_queued_at(self) -> datetime | None:
        """Return since when the job that waits longest has waited."""
        query = (
            select(JobRecord.queued_at)
            .where(JobRecord.status == "queued")
            .order_by(JobRecord.queued_at)
            .limit(1)
        )
        return self.session.execute(query).scalar_one_or_none()

    def request_cancel(self, job_id: str) -> JobRecord:
        """Cancel a queued job at once, ask for a running one to stop. Idempotent.

        Raises JobTerminal when the job has ended otherwise, NotFound when there is none.
        """
        moment = now()
        queued = [JobRecord.id == job_id, JobRecord.status == "queued"]
        running = [JobRecord.id == job_id, JobRecord.status == "running"]
        transitions = Transitions(self.session)
        if not transitions.end(queued, "cancelled", cancel_requested_at=moment):
            transitions.update(running, status="cancelling", cancel_requested_at=moment)
        job = self.get(job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id!r}.")
        self.session.refresh(job)
        if job.status in ("succeeded", "failed"):
            raise JobTerminal(f"{job_id} has ended as {job.status}.")
        return job
