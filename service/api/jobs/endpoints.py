"""`/v1/jobs`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from service.api import operations
from service.api.accepted import NO_STORE, accepted
from service.api.context import ContextDep
from service.api.idempotency import Key
from service.api.jobs import service
from service.api.jobs.dry_run import validate
from service.api.jobs.schemas import Job, JobCreate, JobValidation, Status
from service.api.jobs.show import show
from service.api.json_text import json_response
from service.api.long_poll import MAX_WAIT_SECONDS, read_at_end
from service.api.pagination import CursorQuery, page
from service.api.prefer import PreferredWait
from service.api.query import metadata_filter, refuse_unknown
from service.api.schemas import Page

RETRY_AFTER_SECONDS = 2
# With `validate_only`.
AS_THE_JOB_WOULD_FAIL = (
    "model-invalid",
    "unsupported-operator",
    "model-too-large",
    "dataset-mismatch",
    "target-infeasible",
    "out-of-memory",
    "timeout",
    "worker-lost",
    "internal",
)

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post(
    "",
    operation_id="createJob",
    summary="Submit a compression job",
    status_code=202,
    response_model=Job,
    responses={
        200: {"model": JobValidation, "description": "with `validate_only`: nothing was submitted"},
        **operations.problems(
            "invalid-request",
            "idempotency-key-reused",
            "idempotency-in-progress",
            "request-too-large",
            *AS_THE_JOB_WOULD_FAIL,
        ),
    },
    dependencies=[Depends(refuse_unknown)],
)
async def create_job(
    body: JobCreate,
    request: Request,
    context: ContextDep,
    key: Key,
    wait: PreferredWait,
    validate_only: Annotated[
        bool, Query(description="check the request and look at the data, submit nothing")
    ] = False,
) -> Response:
    """Queue a job. With an Idempotency-Key, a request that is sent again finds the same job.

    With `validate_only` a worker looks at the data by an analysis, as the job would, and the answer is what they mean
    or the error that the job would fail with; it waits for that as `Prefer: wait=N` says, 20 s by default.
    """
    if validate_only:
        return await validate(request, context, body, wait)
    base_url = str(request.base_url)
    job, replayed = await run_in_threadpool(service.create, context, body, key, base_url)
    return accepted(job, replayed, RETRY_AFTER_SECONDS)


@router.get(
    "",
    operation_id="listJobs",
    summary="List jobs",
    response_model=Page[Job],
    responses=operations.problems("invalid-request"),
    dependencies=[Depends(refuse_unknown)],
    openapi_extra={"parameters": [operations.METADATA_FILTER]},
)
def list_jobs(
    request: Request,
    context: ContextDep,
    cursor: CursorQuery,
    status: Annotated[Status | None, Query()] = None,
    model: Annotated[str | None, Query(max_length=64, description="id of a model")] = None,
) -> Response:
    """Return one page of jobs, the latest first unless asked otherwise."""
    rows = service.find(context, cursor, status, model, metadata_filter(request))
    base_url = str(request.base_url)
    return page(request, cursor, rows, lambda job: show(job, base_url))


@router.get(
    "/{job_id}",
    operation_id="getJob",
    summary="Get a job",
    response_model=Job,
    responses=operations.problems("not-found", "invalid-request"),
    dependencies=[Depends(refuse_unknown)],
)
async def get_job(
    job_id: str,
    request: Request,
    context: ContextDep,
    wait: Annotated[
        float,
        Query(ge=0, description="seconds to wait for the job's end before answering; at most 60"),
    ] = 0.0,
) -> Response:
    """Return a job's state. With `wait` the answer comes when the job has ended, or in time."""
    row = await read_at_end(context, job_id, service.PREFIX, min(wait, MAX_WAIT_SECONDS))
    if row is None:
        raise service.not_found(job_id)
    body = show(row.job, str(request.base_url), row.queue_position)
    return json_response(body, headers=NO_STORE)


@router.post(
    "/{job_id}/cancel",
    operation_id="cancelJob",
    summary="Cancel a job",
    response_model=Job,
    responses=operations.problems("not-found", "job-terminal", "invalid-request"),
)
def cancel_job(job_id: str, request: Request, context: ContextDep) -> Response:
    """Stop a job, in seconds where it runs; what it has found so far stays. Idempotent."""
    job = service.cancel(context, job_id)
    return json_response(show(job, str(request.base_url)), headers=NO_STORE)
