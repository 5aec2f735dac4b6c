"""`/v1/jobs/{id}/report`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from service.api import operations
from service.api.accept import prefers
from service.api.context import ContextDep
from service.api.downloads.respond import respond_with_file
from service.api.query import refuse_unknown
from service.api.reports import service
from service.api.reports.service import MEDIA_TYPES, Format

router = APIRouter(prefix="/v1/jobs", tags=["results"])
# The page is data about untrusted input: it runs in an origin of its own and loads nothing.
HTML_HEADERS = {"Content-Security-Policy": "sandbox allow-scripts allow-popups allow-downloads"}


@router.get(
    "/{job_id}/report",
    operation_id="getReport",
    summary="Get the report",
    response_class=Response,
    responses=operations.ranged("the report", *MEDIA_TYPES.values())
    | operations.problems("not-found", "result-not-ready", "invalid-request"),
    dependencies=[Depends(refuse_unknown)],
)
def get_report(
    job_id: str,
    request: Request,
    context: ContextDep,
    format: Annotated[Format | None, Query(description="wins over `Accept`")] = None,
) -> Response:
    """Return the report as JSON, as a page for people, or its relevance table as CSV."""
    chosen = format or _accepted(request)
    sha256 = service.digest(context, job_id, chosen)
    return respond_with_file(
        request,
        context.artifacts,
        sha256,
        media_type=MEDIA_TYPES[chosen],
        file_name=f"{job_id}-report.{chosen}",
        inline=True,
        headers={"Vary": "Accept", **(HTML_HEADERS if chosen == "html" else {})},
    )


def _accepted(request: Request) -> Format:
    accept = request.headers.get("accept")
    if prefers(accept, "text/html", over="application/json"):
        return "html"
    return "csv" if prefers(accept, "text/csv", over="application/json") else "json"
