"""Jobs of all tenants, read together; a `Context` hands out those of its own."""

from __future__ import annotations

from collections.abc import Collection

from service.api.application import ReadJob
from service.store.database import Database
from service.store.jobs.repository import JobRepository


def read_many(database: Database, job_ids: Collection[str]) -> dict[str, ReadJob]:
    """Return jobs by id: one SELECT by primary key, and one more for each that waits."""
    with database.read() as session:
        jobs = JobRepository(session)
        return {
            job.id: ReadJob(job, jobs.queue_position(job) if job.status == "queued" else None)
            for job in jobs.get_many(job_ids)
        }
