"""Query parameters: unknown ones are refused, as unknown fields of a body are."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request

from service.errors import InvalidRequest

METADATA = re.compile(r"metadata\[(.+)\]", re.DOTALL)


def refuse_unknown(request: Request) -> None:
    """Raise InvalidRequest that names every query parameter which the route does not have."""
    if not request.scope["query_string"]:
        return
    known = _known(request)
    errors = [
        {"detail": "unknown parameter", "pointer": f"#/{name}", "location": "query"}
        for name in request.query_params
        if name not in known and not ("metadata[]" in known and METADATA.fullmatch(name))
    ]
    if errors:
        names = ", ".join(error["pointer"].removeprefix("#/") for error in errors)
        raise InvalidRequest(f"Unknown query parameters: {names}", errors=errors)


def metadata_filter(request: Request) -> dict[str, str]:
    """Return the pairs that `metadata[key]=value` parameters ask for."""
    pairs = {}
    for name, value in request.query_params.items():
        if match := METADATA.fullmatch(name):
            pairs[match[1]] = value
    return pairs


def _known(request: Request) -> set[str]:
    # What the OpenAPI document promises is exactly what is taken.
    path = request.scope["route"].path_format
    operation = request.app.openapi()["paths"][path][request.method.lower()]
    parameters = operation.get("parameters", [])
    return {one["name"] + _suffix(one) for one in parameters if one["in"] == "query"}


def _suffix(parameter: dict[str, Any]) -> str:
    return "[]" if parameter.get("style") == "deepObject" else ""
