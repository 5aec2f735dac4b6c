"""What a tenant uses; counted in a session of that tenant, which sees no other's rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import func, or_, select, text
from sqlalchemy.orm import Session

from service.store.base import now
from service.store.candidates.records import CandidateRecord
from service.store.datasets.records import DatasetRecord
from service.store.jobs.records import HELD, JobRecord
from service.store.models.records import ModelRecord


def take_turns(session: Session, tenant: str) -> None:
    """Let whoever counts for this tenant wait until this transaction ends; on SQLite all that write do so anyway."""
    if session.get_bind().dialect.name == "postgresql":
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant, 0))")
        session.connection().execute(lock, {"tenant": tenant})


def stored_bytes(session: Session) -> int:
    """Return the bytes of models, data sets and candidates, each file once however often it came."""
    return sum(dict(_stored_files(session)).values())


def queued_jobs(session: Session) -> int:
    """Return how many jobs and analyses wait."""
    query = select(func.count(JobRecord.id)).where(JobRecord.status == "queued")
    return session.execute(query).scalar_one()


def worker_seconds(session: Session, since: datetime) -> float:
    """Return for how long jobs and analyses have run since then, from their first start on."""
    at_work = or_(JobRecord.status.in_(HELD), JobRecord.finished_at >= since)
    query = select(JobRecord.started_at, JobRecord.finished_at).where(
        JobRecord.started_at.is_not(None), at_work
    )
    moment = now()
    return sum(
        max(((finished or moment) - max(started, since)).total_seconds(), 0.0)
        for started, finished in session.execute(query)
        if started is not None
    )


def _stored_files(session: Session) -> Iterator[tuple[str, int]]:
    """Yield digest and size of each file that a row names."""
    for kind in (ModelRecord, DatasetRecord, CandidateRecord):
        rows = session.execute(select(kind.sha256, kind.size_bytes))
        yield from ((row.sha256, row.size_bytes) for row in rows)
    for of in (ModelRecord, CandidateRecord):
        beside = select(of.external).where(func.json_array_length(of.external) > 0)
        for files in session.scalars(beside):
            yield from ((file["sha256"], file["size_bytes"]) for file in files)
