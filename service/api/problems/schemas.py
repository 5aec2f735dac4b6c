"""The shape of a problem. Clients read it too, so this imports nothing of the web."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ErrorItem(BaseModel):
    """One thing that is wrong with the request."""

    detail: str
    pointer: str | None = Field(
        None,
        description="JSON pointer to the field: into the body, or `#/name` for a form field,"
        " a header or a parameter",
    )
    location: str | None = Field(
        None, description="`body`, `form`, `query`, `path` or `header`; extensible"
    )


class ProblemNode(BaseModel):
    """The ONNX node that the problem speaks of."""

    model_config = ConfigDict(extra="ignore")

    name: str
    op_type: str
    domain: str
    opset: int


class Problem(BaseModel):
    """RFC 9457 problem details, with this API's extension members."""

    type: str = Field(description="stable URI of the kind of problem; a page that explains it")
    title: str
    status: int
    detail: str
    instance: str | None = Field(None, description="path of the request, or of the job")
    code: str = Field(description="last part of `type`; extensible")
    errors: list[ErrorItem] = Field(default_factory=list)
    request_id: str | None = None
    retryable: bool = Field(False, description="the same request may succeed later")
    node: ProblemNode | None = None
    violated_policies: list[str] | None = Field(
        None, alias="violated-policies", description="of `quota-exceeded`: names of the limits"
    )
