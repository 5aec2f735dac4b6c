"""The OpenAPI document, put together from the routes and from what FastAPI does not see in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.admission.document import describe_admission
from service.api.datasets.schemas import DatasetFields
from service.api.models.schemas import ModelFields
from service.api.operations import REF
from service.api.problems.schemas import Problem

TAGS = [
    {"name": "models", "description": "Uploaded ONNX models."},
    {"name": "datasets", "description": "Uploaded data sets."},
    {"name": "analyses", "description": "What could be removed from a model, without training."},
    {"name": "jobs", "description": "Compression jobs."},
    {"name": "results", "description": "Candidates, the chosen model and the report."},
    {"name": "health", "description": "Liveness, readiness, metrics."},
    {"name": "problems", "description": "What each problem type means."},
]


def install(app: FastAPI) -> None:
    """Make `app.openapi()` return the finished document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=app.description,
        routes=app.routes,
        tags=TAGS,
        servers=[{"url": "/", "description": "this server"}],
    )
    # Used by reference where FastAPI does not look: in problem answers and in forms read by hand.
    schema["components"]["schemas"].update(_definitions([Problem, ModelFields, DatasetFields]))
    return describe_admission(schema, app.state.application.settings)


def _definitions(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    _, schema = models_json_schema([(model, "validation") for model in models], ref_template=REF)
    definitions: dict[str, Any] = schema["$defs"]
    return definitions
