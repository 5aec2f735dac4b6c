"""Why a job failed: one shape for the engine's process, the worker, the records and the API."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class ErrorNode(BaseModel):
    """The ONNX node that an error speaks of."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    op_type: str
    domain: str
    opset: int


class JobError(BaseModel):
    """An error under a code of the API's catalogue; `pointer` is a JSON pointer into the request.

    Rows are read for as long as they are kept, also those of other versions: what is missing has a default.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    code: str = "internal"
    detail: str = ""
    retryable: bool = False
    pointer: str | None = None
    node: ErrorNode | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what the records keep: the fields that say something."""
        return self.model_dump(exclude_none=True)
