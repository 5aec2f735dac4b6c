"""What the job endpoints do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from service.api.context import Context
from service.api.idempotency import once
from service.api.jobs.schemas import JobCreate
from service.api.jobs.show import show
from service.api.pagination import Cursor
from service.api.queues import queue_of
from service.api.schemas import TERMINAL
from service.api.text import require_storable
from service.errors import InvalidRequest, NotFound, ResultNotReady, ServiceError
from service.store.datasets.repository import DatasetRepository
from service.store.ids import is_id
from service.store.jobs.records import PREFIXES, JobRecord
from service.store.jobs.repository import JobRepository
from service.store.models.repository import ModelRepository

PREFIX = PREFIXES["compression"]


def require_inputs(context: Context, body: JobCreate) -> None:
    """Raise InvalidRequest as `create` does where model or data set are not there."""
    with context.database.read() as session:
        _require_inputs(session, body)


def as_executed(body: JobCreate) -> dict[str, Any]:
    """Return a job that is not submitted as `service.api.jobs.schemas.JobValidation` begins."""
    return {
        "object": "job.validation",
        "model": body.model,
        "dataset": body.dataset,
        "recipe": body.recipe.model_dump(mode="json"),
        "priority": body.priority,
        "limits": _limits(body),
        "metadata": body.metadata,
    }


def create(
    context: Context, body: JobCreate, key: str | None, base_url: str
) -> tuple[dict[str, Any], bool]:
    """Queue a job; return it as shown, and whether this repeats an earlier answer."""

    def make(session: Session) -> dict[str, Any]:
        _require_inputs(session, body)
        context.quotas.require_job(session)
        job = JobRepository(session).create(
            model_id=body.model,
            dataset_id=body.dataset,
            recipe=body.recipe.model_dump(mode="json"),
            metadata=body.metadata,
            priority=body.priority,
            limits=_limits(body),
            queue=queue_of(body.recipe),
        )
        return show(job, base_url, JobRepository(session).queue_position(job))

    shown, replayed = once(context, key, "POST /v1/jobs", body.model_dump(mode="json"), make)
    if not replayed:
        # After the commit, so that no worker looks for a row that is not there yet.
        context.notifier.notify(shown["id"], queue_of(body.recipe))
    return shown, replayed


def find(
    context: Context,
    cursor: Cursor,
    status: str | None,
    model: str | None,
    metadata: dict[str, str],
) -> Sequence[JobRecord]:
    """Return one row more than the page holds where there is a next one."""
    for text in [*metadata, *metadata.values(), model or ""]:
        require_storable(text, "metadata")
    with context.database.read() as session:
        return JobRepository(session).list(
            status=status,
            model_id=model,
            metadata=metadata,
            after=cursor.after_id(PREFIX),
            limit=cursor.limit + 1,
            order=cursor.order,
        )


def cancel(context: Context, job_id: str) -> JobRecord:
    """Ask for a job to stop. Raises JobTerminal when it ended otherwise."""
    with context.database.begin() as session:
        require(session, job_id)
        return JobRepository(session).request_cancel(job_id)


def require(session: Session, job_id: str) -> JobRecord:
    """Return a job. Raises NotFound."""
    job = JobRepository(session).get(job_id) if is_id(job_id, PREFIX) else None
    if job is None:
        raise not_found(job_id)
    return job


def not_found(job_id: str) -> NotFound:
    """Return the error of asking for a job that there is not."""
    return NotFound(f"There is no job {job_id!r}.")


def _require_inputs(session: Session, body: JobCreate) -> None:
    errors = []
    if ModelRepository(session).get(body.model) is None:
        errors.append({"detail": f"no model {body.model!r}", "pointer": "#/model"})
    if DatasetRepository(session).get(body.dataset) is None:
        errors.append({"detail": f"no data set {body.dataset!r}", "pointer": "#/dataset"})
    if errors:
        detail = " and ".join(f"There is {error['detail']}" for error in errors)
        raise InvalidRequest(detail, errors=[{**error, "location": "body"} for error in errors])


def _limits(body: JobCreate) -> dict[str, Any]:
    return body.limits.model_dump(exclude_none=True)


def no_result(job: JobRecord, what: str) -> ServiceError:
    """Return the error of asking for a result that is not there, yet or for good."""
    if job.status in TERMINAL:
        return NotFound(f"{job.id} ended as {job.status} and has no {what}.")
    detail = f"{job.id} is {job.status} and has no {what} yet."
    return ResultNotReady(detail, retryable=True, headers={"Retry-After": "2"})
