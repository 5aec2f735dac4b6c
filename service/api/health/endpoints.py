"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from service.api.accepted import NO_STORE
from service.api.application import ApplicationDep
from service.api.health import service
from service.api.health.schemas import Health, Readiness
from service.api.json_text import json_response

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="getHealth", summary="Is the process alive?")
async def get_health() -> Health:
    """Answer without looking at anything."""
    return Health()


@router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="Can the service take requests?",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "records or artifacts do not answer"}},
)
def get_readiness(application: ApplicationDep) -> Response:
    """Check records, artifacts and queue, and say whether any worker is alive."""
    readiness = service.readiness(application)
    status = 503 if readiness.status == "unavailable" else 200
    return json_response(readiness.model_dump(mode="json"), status, NO_STORE)


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def get_metrics(application: ApplicationDep) -> Response:
    """Return jobs by status, the age of the oldest queued job, and latencies by route."""
    return Response(application.metrics.text(), headers=NO_STORE, media_type=CONTENT_TYPE_LATEST)
