"""What the analysis endpoints do: an analysis is a row of the jobs table, shown in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from sqlalchemy.orm import Session

from service.api.analyses import reuse
from service.api.analyses.schemas import AnalysisCreate
from service.api.context import Context
from service.api.idempotency import once
from service.api.pagination import Cursor
from service.api.problems.render import job_problem
from service.api.queues import queue_of
from service.api.schemas import timestamp
from service.api.text import require_storable
from service.errors import InvalidRequest, NotFound
from service.store.datasets.repository import DatasetRepository
from service.store.jobs.records import PREFIXES, JobRecord
from service.store.jobs.repository import JobRepository
from service.store.models.repository import ModelRepository

KIND = reuse.KIND
ASKED = ("target", "batch_size", "recipe")
PREFIX = PREFIXES[KIND]
QUEUE = "cpu"
PRIORITY = 1000  # above all that a job may ask for
# An analysis takes seconds; one that hangs must not keep jobs from running.
MAX_RUNTIME_SECONDS = 900


def create(
    context: Context, body: AnalysisCreate, key: str | None, base_url: str
) -> tuple[dict[str, Any], bool]:
    """Queue an analysis; return it as shown, and whether this repeats an earlier answer.

    Raises InvalidRequest for a recipe without data, and for a model or a data set that is not there.
    """
    if body.recipe is not None and body.dataset is None:
        detail = "A recipe is looked at beside a data set"
        _refuse(detail, {"detail": detail, "pointer": "#/dataset"})
    asked = body.model_dump(mode="json")

    def make(session: Session) -> dict[str, Any]:
        _require(ModelRepository(session).get(body.model), "model", body.model)
        if body.dataset is not None:
            _require(DatasetRepository(session).get(body.dataset), "dataset", body.dataset)
        row = _queue(context, session, body)
        return show(row, base_url, JobRepository(session).queue_position(row))

    shown, replayed = once(context, key, "POST /v1/analyses", asked, make)
    if not replayed:
        # After the commit, so that no worker looks for a row that is not there yet.
        context.notifier.notify(shown["id"], _queue_name(body))
    return shown, replayed


def find_or_create(context: Context, body: AnalysisCreate) -> str:
    """Return the id of an analysis of just this: one that was asked for before, or a new one.

    Model and data set must be there.
    """
    with context.database.begin() as session:
        earlier = reuse.find(session, body.model_dump(mode="json"))
        if earlier is not None:
            return earlier.id
        row = _queue(context, session, body)
    context.notifier.notify(row.id, row.queue)
    return row.id


def _queue(context: Context, session: Session, body: AnalysisCreate) -> JobRecord:
    context.quotas.require_job(session)
    asked = body.model_dump(mode="json")
    return JobRepository(session).create(
        kind=KIND,
        model_id=body.model,
        dataset_id=body.dataset,
        recipe={name: asked[name] for name in ASKED},
        metadata=reuse.mark(asked),
        priority=PRIORITY,
        limits={"max_runtime_seconds": MAX_RUNTIME_SECONDS},
        queue=_queue_name(body),
    )


def _queue_name(body: AnalysisCreate) -> str:
    # Whether a device is there is found out where the job would run.
    return QUEUE if body.recipe is None else queue_of(body.recipe)


def find(
    context: Context, cursor: Cursor, status: str | None, model: str | None
) -> Sequence[JobRecord]:
    """Return one row more than the page holds where there is a next one."""
    require_storable(model or "", "model")
    with context.database.read() as session:
        return JobRepository(session).list(
            kind=KIND,
            status=status,
            model_id=model,
            after=cursor.after_id(PREFIX),
            limit=cursor.limit + 1,
            order=cursor.order,
        )


def not_found(analysis_id: str) -> NotFound:
    """Return the error of asking for an analysis that there is not."""
    return NotFound(f"There is no analysis {analysis_id!r}.")


def show(row: JobRecord, base_url: str, queue_position: int | None = None) -> dict[str, Any]:
    """Return the analysis as `service.api.analyses.schemas.ModelAnalysis` documents it."""
    path = f"/v1/analyses/{row.id}"
    return {
        "id": row.id,
        "object": "analysis",
        "status": row.status,
        "model": row.model_id,
        "dataset": row.dataset_id,
        **{name: row.recipe.get(name) for name in ASKED},
        "result": row.result,
        "error": job_problem(base_url, path, row.error) if row.error else None,
        "queue_position": queue_position,
        "created_at": timestamp(row.created_at),
        "started_at": timestamp(row.started_at),
        "finished_at": timestamp(row.finished_at),
        "links": {"self": path, "model": f"/v1/models/{row.model_id}"},
    }


def _require(record: object | None, field: str, asked: str) -> None:
    if record is None:
        detail = f"no {field} {asked!r}"
        _refuse(f"There is {detail}", {"detail": detail, "pointer": f"#/{field}"})


def _refuse(detail: str, item: dict[str, str]) -> NoReturn:
    raise InvalidRequest(detail, errors=[{**item, "location": "body"}])
