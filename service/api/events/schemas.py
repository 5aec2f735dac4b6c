"""Events as they are shown."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from service.api.schemas import Resource, Timestamp

TERMINAL_EVENTS = frozenset({"job.succeeded", "job.failed", "job.cancelled"})


class JobEvent(Resource):
    """One thing that happened to a job."""

    id: str
    object: Literal["job.event"] = "job.event"
    job: str
    sequence: int = Field(description="counts from 1 within the job; the SSE id")
    type: str = Field(description="`job.queued`, `job.progress`, …; extensible")
    level: str = Field(description="`info`, `warn` or `error`")
    message: str
    data: dict[str, Any]
    created_at: Timestamp


class EventPage(Resource):
    """Events in order of sequence; ask for the next with `after=last_sequence`."""

    object: Literal["list"] = "list"
    data: list[JobEvent]
    first_id: str | None
    last_id: str | None
    last_sequence: int = Field(description="what to give as `after` to go on")
    has_more: bool
    job_ended: bool = Field(description="the job is terminal: nothing will follow the last page")
