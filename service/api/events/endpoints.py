"""`/v1/jobs/{id}/events`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.api import operations
from service.api.accept import prefers
from service.api.context import ContextDep
from service.api.events import service
from service.api.events.schemas import EventPage
from service.api.events.stream import HEADERS, MEDIA_TYPE, event_stream
from service.api.json_text import json_response
from service.api.pagination import next_url
from service.api.query import refuse_unknown

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
MAX_LIMIT = 1000
MAX_SEQUENCE = 2**53


@router.get(
    "/{job_id}/events",
    operation_id="listJobEvents",
    summary="What happened to a job, or what happens",
    response_model=EventPage,
    responses={
        200: {
            "description": "a page, or with `Accept: text/event-stream` the stream",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
        },
        204: {"description": "the job has ended and there is nothing after `Last-Event-ID`"},
        **operations.problems("not-found", "invalid-request"),
    },
    dependencies=[Depends(refuse_unknown)],
)
async def list_job_events(
    job_id: str,
    request: Request,
    context: ContextDep,
    limit: Annotated[int, Query(ge=1, description=f"at most {MAX_LIMIT}; more is clamped")] = 100,
    after: Annotated[int, Query(ge=0, le=MAX_SEQUENCE, description="a sequence")] = 0,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=MAX_SEQUENCE, description="as an event stream resumes")
    ] = None,
) -> Response:
    """Page through a job's events in order, or follow them until the job has ended."""
    start = after if last_event_id is None else last_event_id
    if not prefers(request.headers.get("accept"), MEDIA_TYPE, over="application/json"):
        page = await run_in_threadpool(service.page, context, job_id, start, min(limit, MAX_LIMIT))
        return _page(request, page)
    if await run_in_threadpool(service.is_over, context, job_id, start):
        return Response(status_code=204, headers=HEADERS)

    async def read(sequence: int) -> list[service.Event]:
        return await run_in_threadpool(service.after, context, job_id, sequence, MAX_LIMIT)

    frames = event_stream(read, start, context.is_closing)
    return StreamingResponse(frames, headers=HEADERS, media_type=MEDIA_TYPE)


def _page(request: Request, page: dict[str, object]) -> Response:
    headers = {"Cache-Control": "no-store"}
    if page["has_more"]:
        headers["Link"] = f'<{next_url(request, page["last_sequence"])}>; rel="next"'
    return json_response(page, headers=headers)
