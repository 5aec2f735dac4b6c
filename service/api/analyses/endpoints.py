"""`/v1/analyses`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from service.api import operations
from service.api.accepted import NO_STORE, accepted
from service.api.analyses import service
from service.api.analyses.schemas import AnalysisCreate, ModelAnalysis, Status
from service.api.context import ContextDep
from service.api.idempotency import Key
from service.api.json_text import json_response
from service.api.long_poll import MAX_WAIT_SECONDS, read_at_end
from service.api.pagination import CursorQuery, page
from service.api.query import refuse_unknown
from service.api.schemas import Page

RETRY_AFTER_SECONDS = 1

router = APIRouter(prefix="/v1/analyses", tags=["analyses"])


@router.post(
    "",
    operation_id="analyzeModel",
    summary="Analyze a model",
    status_code=202,
    response_model=ModelAnalysis,
    responses=operations.problems(
        "invalid-request", "idempotency-key-reused", "idempotency-in-progress", "request-too-large"
    ),
    dependencies=[Depends(refuse_unknown)],
)
def analyze_model(
    body: AnalysisCreate, request: Request, context: ContextDep, key: Key
) -> Response:
    """Queue an analysis: what is coupled, what could go, and whether a target can be met. No data needed; with
    a data set, what it means beside the model too; with a recipe beside it, what it means to that job."""
    analysis, replayed = service.create(context, body, key, str(request.base_url))
    return accepted(analysis, replayed, RETRY_AFTER_SECONDS)


@router.get(
    "",
    operation_id="listAnalyses",
    summary="List analyses",
    response_model=Page[ModelAnalysis],
    responses=operations.problems("invalid-request"),
    dependencies=[Depends(refuse_unknown)],
)
def list_analyses(
    request: Request,
    context: ContextDep,
    cursor: CursorQuery,
    status: Annotated[Status | None, Query()] = None,
    model: Annotated[str | None, Query(max_length=64, description="id of a model")] = None,
) -> Response:
    """Return one page of analyses, the latest first unless asked otherwise."""
    rows = service.find(context, cursor, status, model)
    base_url = str(request.base_url)
    return page(request, cursor, rows, lambda row: service.show(row, base_url))


@router.get(
    "/{analysis_id}",
    operation_id="getAnalysis",
    summary="Get an analysis",
    response_model=ModelAnalysis,
    responses=operations.problems("not-found", "invalid-request"),
    dependencies=[Depends(refuse_unknown)],
)
async def get_analysis(
    analysis_id: str,
    request: Request,
    context: ContextDep,
    wait: Annotated[
        float, Query(ge=0, description="seconds to wait for the end before answering; at most 60")
    ] = 0.0,
) -> Response:
    """Return an analysis. With `wait` the answer comes when it has ended, or in time."""
    row = await read_at_end(context, analysis_id, service.PREFIX, min(wait, MAX_WAIT_SECONDS))
    if row is None:
        raise service.not_found(analysis_id)
    body = service.show(row.job, str(request.base_url), row.queue_position)
    return json_response(body, headers=NO_STORE)
