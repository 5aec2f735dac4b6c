"""Candidates as they are shown."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from service.api.models.schemas import ExternalFile
from service.api.schemas import Resource, Timestamp


class CandidateLinks(Resource):
    """Where to go from a candidate."""

    model: str


class Candidate(Resource):
    """One compressed model of a job's path from wide to narrow."""

    id: str
    object: Literal["candidate"] = "candidate"
    job: str
    index: int
    sha256: str
    size_bytes: int
    external: list[ExternalFile] = Field(
        default_factory=list,
        description="files that hold weights which do not fit in the model's own",
    )
    nodes: int
    params: int
    macs: int
    metrics: dict[str, Any]
    chosen: bool
    created_at: Timestamp | None = None
    links: CandidateLinks


class CandidateList(Resource):
    """All candidates of a job, from wide to narrow."""

    object: Literal["list"] = "list"
    data: list[Candidate]
    first_id: str | None
    last_id: str | None
    has_more: bool = Field(False)
