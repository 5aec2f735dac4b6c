"""All SQL on events."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import inspect, select, update
from sqlalchemy.orm import Session

from service.store.base import now
from service.store.events.records import EventRecord
from service.store.ids import new_id


class EventRepository:
    """What happened to jobs; only ever appended to."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def append(
        self,
        job_id: str,
        type: str,
        level: str = "info",
        message: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> EventRecord:
        """Append an event with the job's next sequence."""
        record = EventRecord(
            id=new_id("evt_"),
            job_id=job_id,
            sequence=self._next_sequence(job_id),
            type=type,
            level=level,
            message=message,
            data=dict(data or {}),
            created_at=now(),
        )
        self.session.add(record)
        self.session.flush()
        return record

    def _next_sequence(self, job_id: str) -> int:
        # Counting in the job's own row makes concurrent writers wait for each other.
        job = _job_class()
        count = (
            update(job)
            .where(job.id == job_id)
            .values(last_sequence=job.last_sequence + 1)
            .returning(job.last_sequence)
            .execution_options(synchronize_session=False)
        )
        sequence: int = self.session.execute(count).scalar_one()
        return sequence

    def list(self, job_id: str, after_sequence: int = 0, limit: int = 100) -> Sequence[EventRecord]:
        """Return the events that follow a sequence, in order."""
        query = (
            select(EventRecord)
            .where(EventRecord.job_id == job_id, EventRecord.sequence > after_sequence)
            .order_by(EventRecord.sequence)
            .limit(limit)
        )
        return self.session.scalars(query).all()


@functools.cache
def _job_class() -> Any:
    """Return the class of what events belong to, which itself imports this file."""
    (of_job,) = inspect(EventRecord).columns.job_id.foreign_keys
    jobs = of_job.column.table
    return next(one.class_ for one in EventRecord.registry.mappers if one.local_table is jobs)
