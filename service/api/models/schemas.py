"""Models as they are given and shown."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.api.schemas import Request, Resource, Timestamp
from service.api.text import Metadata, Name


class ModelFields(Request):
    """What a model may be given besides its bytes."""

    name: Name | None = None
    metadata: Metadata = Field(default_factory=dict)


class FileLinks(Resource):
    """Where to go from an uploaded file."""

    self: str
    file: str


class ExternalFile(Resource):
    """A file of a model's external data."""

    name: str = Field(description="by which the model knows it")
    sha256: str
    size_bytes: int


class Model(Resource):
    """An uploaded ONNX model."""

    id: str
    object: Literal["model"] = "model"
    name: str | None
    file_name: str | None = Field(description="as the client called it; for display only")
    sha256: str
    size_bytes: int
    external: list[ExternalFile] = Field(default_factory=list)
    metadata: dict[str, str]
    created_at: Timestamp
    links: FileLinks
