"""Every way in which a request can fail, turned into a problem."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.api.problems.render import problem_response, request_id
from service.errors import ServiceError

log = logging.getLogger("eigenpress.api")
CODE_OF_STATUS = {
    400: "invalid-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "request-too-large",
    415: "unsupported-media-type",
}


def install(app: FastAPI) -> None:
    """Make `app` answer every failure with a problem."""
    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(OperationalError, on_database_error)


async def on_service_error(request: Request, error: Exception) -> Response:
    """Answer with what the service said on purpose."""
    assert isinstance(error, ServiceError)
    return problem_response(
        request,
        error.code,
        error.detail,
        status=error.status,
        errors=error.errors,
        retryable=error.retryable,
        headers=error.headers,
        extensions=error.extensions,
    )


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = validation_errors(error.errors())
    return problem_response(request, "invalid-request", summary(errors), errors=errors)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ServiceError):
        # FastAPI hides what stopped it from reading the body behind a 400.
        return await on_service_error(request, error.__cause__)
    code = CODE_OF_STATUS.get(error.status_code, "internal")
    # A body that cannot be read as JSON is as invalid as one that says the wrong thing.
    status = None if error.status_code == 400 else error.status_code
    detail = _http_detail(request, error)
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return problem_response(request, code, detail, status=status, headers=headers)


def _allowed(request: Request) -> str:
    # Each method is a route of its own, and the router knows only the one that it came upon.
    path = getattr(request.scope.get("route"), "path_format", "")
    methods = {method.upper() for method in request.app.openapi()["paths"].get(path, {})}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


async def on_database_error(request: Request, error: Exception) -> Response:
    """Answer that the records cannot be asked."""
    log.error("request %s: the records do not answer: %s", request_id(request), error)
    detail = "The records do not answer at the moment."
    return problem_response(
        request, "unavailable", detail, retryable=True, headers={"Retry-After": "5"}
    )


def _http_detail(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        return f"There is nothing at {request.url.path}."
    if error.status_code == 405:
        return f"{request.url.path} does not take {request.method}."
    return str(error.detail)


def validation_errors(
    errors: Sequence[Mapping[str, Any]], location: str | None = None
) -> list[dict[str, str]]:
    """Return pydantic's errors as RFC 9457 items.

    Where `location` is not given, each error's path starts with it, as FastAPI has it.
    """
    return [_item(error, location) for error in errors]


def _item(error: Mapping[str, Any], location: str | None) -> dict[str, str]:
    path = list(error["loc"])
    where = location or str(path.pop(0))
    detail, pointer = str(error["msg"]), json_pointer(path)
    if error["type"] == "json_invalid":
        detail, pointer = f"Not JSON: {error['ctx']['error']}", "#"
    elif where == "body" and not path:
        detail = "Send a JSON object with Content-Type: application/json"
    return {"detail": detail, "pointer": pointer, "location": where}


def json_pointer(path: Sequence[object]) -> str:
    """Return the RFC 6901 pointer, as a URI fragment, to `path`."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def summary(errors: Sequence[Mapping[str, str]]) -> str:
    """Return one sentence that names the first field that is wrong, and how many more are."""
    first = errors[0]
    name = first["pointer"].removeprefix("#").lstrip("/").replace("/", ".") or "body"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{name}: {first['detail']}{more}"
