"""The OpenAPI document: what FastAPI cannot see from the code is added context."""

from __future__ import annotations

from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel

from service.api.media_types import OCTETS, PROBLEM
from service.api.uploads.fields import JSON_FIELDS
from service.errors import CATALOGUE

REF = "#/components/schemas/{model}"
BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
Responses = dict[int | str, dict[str, Any]]


def problems(*codes: str) -> Responses:
    """Document the problems that an operation may answer with, by status."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(CATALOGUE[code][0], []).append(code)
    return {
        status: {
            "description": ", ".join(f"`{code}`" for code in named),
            "content": {PROBLEM: {"schema": {"$ref": REF.format(model="Problem")}}},
        }
        for status, named in by_status.items()
    }


UPLOAD_PROBLEMS = problems(
    "invalid-request",
    "idempotency-key-reused",
    "digest-mismatch",
    "request-too-large",
    "unsupported-media-type",
)
METADATA_FILTER: dict[str, Any] = {
    "name": "metadata",
    "in": "query",
    "style": "deepObject",
    "explode": True,
    "description": "`metadata[key]=value`: only those with this pair",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}


def binary(description: str, *media_types: str) -> dict[str, Any]:
    """Document an answer that is a file, with its digest headers."""
    return {
        "description": description,
        "headers": {
            name: {"schema": {"type": "string"}}
            for name in ("ETag", "Repr-Digest", "Content-Disposition")
        },
        "content": {media_type: {"schema": _schema_of(media_type)} for media_type in media_types},
    }


def _schema_of(media_type: str) -> dict[str, Any]:
    if media_type == "application/json":
        return {"type": "object", "additionalProperties": True}
    if media_type.startswith("text/"):
        return {"type": "string"}
    return BINARY


def ranged(description: str, *media_types: str) -> Responses:
    """Document a download that can be asked for in part or only if it changed."""
    return {
        200: binary(description, *media_types),
        206: binary("the range that was asked for", OCTETS),
        304: {"description": "not modified"},
        **problems("range-not-satisfiable"),
    }


def upload(fields: type[BaseModel], what: str, external: str | None = None) -> dict[str, Any]:
    """Document the two forms of an upload: a multipart form, or raw bytes with a query."""
    schema = fields.model_json_schema(ref_template=REF)
    described = schema["properties"]
    files: dict[str, Any] = {"file": {**BINARY, "description": what}}
    if external is not None:
        files["external"] = {"type": "array", "items": BINARY, "description": external}
    form = {
        "type": "object",
        "required": ["file"],
        "properties": {**files, **described},
        "additionalProperties": False,
    }
    encoding = {
        name: {"contentType": "application/json"} for name in described if name in JSON_FIELDS
    }
    return {
        "parameters": [_query(name, described[name]) for name in described],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form, "encoding": encoding},
                OCTETS: {"schema": BINARY},
            },
        },
    }


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": "query", "required": False}
    if name in JSON_FIELDS:
        return parameter | {"content": {"application/json": {"schema": schema}}}
    return parameter | {"schema": schema}


def operation_id(route: APIRoute) -> str:
    """Return the id that the route names; without one the application does not start."""
    if route.operation_id is None:
        raise ValueError(f"{route.path} has no operation_id")
    return route.operation_id
