"""`validate_only`: a worker looks at the data as the job would, and nothing is submitted."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from service.api.accepted import NO_STORE
from service.api.analyses import service as analyses
from service.api.analyses.schemas import AnalysisCreate
from service.api.context import Context
from service.api.jobs import service
from service.api.jobs.schemas import JobCreate
from service.api.json_text import json_response
from service.api.long_poll import MAX_WAIT_SECONDS, read_at_end
from service.api.problems.render import recorded_response
from service.store.jobs.records import JobRecord
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.training import Training

WAIT_SECONDS = 20.0
RETRY_AFTER_SECONDS = 2


async def validate(
    request: Request, context: Context, body: JobCreate, preferred_seconds: float | None
) -> Response:
    """Answer with the job as it would be executed and what its data mean, or with the error that it would fail with.

    Waits for a worker as long as is preferred; where none has looked by then, says `pending`, and finds the same
    analysis when it is asked again. Raises InvalidRequest as submitting does.
    """
    await run_in_threadpool(service.require_inputs, context, body)
    wait = WAIT_SECONDS if preferred_seconds is None else min(preferred_seconds, MAX_WAIT_SECONDS)
    asked = AnalysisCreate(model=body.model, dataset=body.dataset, recipe=at_issue(body.recipe))
    analysis_id = await run_in_threadpool(analyses.find_or_create, context, asked)
    analysis = await read_at_end(context, analysis_id, analyses.PREFIX, wait)
    if analysis is None:
        raise analyses.not_found(analysis_id)
    if analysis.job.error is not None:
        return recorded_response(request, f"/v1/analyses/{analysis_id}", analysis.job.error)
    told = _told(body, analysis.job, analysis.queue_position)
    headers = dict(NO_STORE)
    if preferred_seconds is not None:
        headers["Preference-Applied"] = f"wait={wait:.0f}"
    if told["status"] == "pending":
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return json_response(told, headers=headers)


def at_issue(recipe: Recipe) -> Recipe:
    """Return the recipe without what only says how to train: jobs that differ in that alone share an analysis."""
    kept = recipe.training.model_dump(include={"device", "batch_size"})
    return recipe.model_copy(update={"training": Training(**kept)})


def _told(body: JobCreate, analysis: JobRecord, queue_position: int | None) -> dict[str, Any]:
    data = None if analysis.result is None else analysis.result["data"]
    return {
        **service.as_executed(body),
        "status": "pending" if data is None else "checked",
        "waiting_for": _waiting_for(analysis, queue_position) if data is None else None,
        "data": data,
        "analysis": analysis.id,
        "links": {"analysis": f"/v1/analyses/{analysis.id}"},
    }


def _waiting_for(analysis: JobRecord, queue_position: int | None) -> str:
    """Say what has to happen before there is an answer, and where to look."""
    look = f"ask again, or look at /v1/analyses/{analysis.id}"
    if analysis.status != "queued":
        return f"the worker that is looking at the data: {look}"
    position = "" if queue_position is None else f", as number {queue_position} in the queue"
    return (
        f"a worker that is free, which takes it before any compression{position}: {look}; /readyz says how many "
        "workers are alive"
    )
