"""One way to write a problem, for requests that fail and for jobs that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api.json_text import encode
from service.api.media_types import PROBLEM
from service.api.problems.catalogue import status_and_title
from service.store.jobs.error import JobError


def problem_body(
    base_url: str,
    code: str,
    detail: str,
    *,
    instance: str,
    status: int | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
    request_id: str | None = None,
    retryable: bool = False,
    node: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the members of a problem; `base_url` ends with a slash."""
    known_status, title = status_and_title(code)
    body: dict[str, Any] = {
        "type": f"{base_url}problems/{code}",
        "title": title,
        "status": status or known_status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "errors": [dict(error) for error in errors],
        "request_id": request_id,
        "retryable": retryable,
    }
    if node is not None:
        body["node"] = dict(node)
    return body


def problem_response(
    request: Request,
    code: str,
    detail: str,
    *,
    status: int | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
    retryable: bool = False,
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, object] | None = None,
) -> Response:
    """Answer a request with a problem."""
    body = problem_body(
        str(request.base_url),
        code,
        detail,
        instance=request.url.path,
        status=status,
        errors=errors,
        request_id=request_id(request),
        retryable=retryable,
    )
    body |= extensions or {}
    sent = {"Cache-Control": "no-store", **(headers or {})}
    return Response(encode(body), body["status"], sent, media_type=PROBLEM)


def recorded_response(request: Request, path: str, error: Mapping[str, Any]) -> Response:
    """Answer a request with the recorded error of the job or analysis at `path`."""
    body = job_problem(str(request.base_url), path, error) | {"request_id": request_id(request)}
    headers = {"Cache-Control": "no-store"}
    return Response(encode(body), body["status"], headers, media_type=PROBLEM)


def request_id(request: Request) -> str | None:
    """Return the id under which this request is logged."""
    logged: str | None = request.scope.get("state", {}).get("request_id")
    return logged


def job_problem(base_url: str, job_path: str, error: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's recorded error as a problem whose instance is the job."""
    recorded = JobError.model_validate(error)
    pointed = {"detail": recorded.detail, "pointer": recorded.pointer}
    return problem_body(
        base_url,
        recorded.code,
        recorded.detail,
        instance=job_path,
        errors=[pointed] if recorded.pointer else (),
        retryable=recorded.retryable,
        node=None if recorded.node is None else recorded.node.model_dump(),
    )
