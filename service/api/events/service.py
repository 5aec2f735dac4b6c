"""What the event endpoint does."""

from __future__ import annotations

from typing import Any

from service.api.context import Context
from service.api.jobs.service import require
from service.api.schemas import TERMINAL, timestamp
from service.store.events.records import EventRecord
from service.store.events.repository import EventRepository

Event = dict[str, Any]


def page(context: Context, job_id: str, after_sequence: int, limit: int) -> dict[str, Any]:
    """Return one page of events after a sequence."""
    with context.database.read() as session:
        # The job first: an event that comes between the two reads is then on a later page.
        ended = require(session, job_id).status in TERMINAL
        rows = EventRepository(session).list(job_id, after_sequence, limit + 1)
        data = [show(row) for row in rows[:limit]]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "last_sequence": data[-1]["sequence"] if data else after_sequence,
        "has_more": len(rows) > limit,
        "job_ended": ended,
    }


def after(context: Context, job_id: str, sequence: int, limit: int) -> list[Event]:
    """Return the next events after a sequence."""
    with context.database.read() as session:
        return [show(row) for row in EventRepository(session).list(job_id, sequence, limit)]


def is_over(context: Context, job_id: str, sequence: int) -> bool:
    """Say whether the job has ended and has no event after `sequence`. Raises NotFound."""
    following = page(context, job_id, sequence, 1)
    return bool(following["job_ended"]) and not following["data"]


def show(event: EventRecord) -> Event:
    """Return the event as `service.api.events.schemas.JobEvent` documents it."""
    return {
        "id": event.id,
        "object": "job.event",
        "job": event.job_id,
        "sequence": event.sequence,
        "type": event.type,
        "level": event.level,
        "message": event.message,
        "data": event.data or {},
        "created_at": timestamp(event.created_at),
    }
