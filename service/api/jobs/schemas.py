"""Jobs as they are asked for and as they are shown."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from service.api.problems.schemas import Problem
from service.api.schemas import TERMINAL, Request, Resource, Timestamp
from service.api.text import Metadata
from spectral_engine.records.data_check import DataCheck
from spectral_engine.records.recipe import Recipe

Status = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]


class JobLimits(Request):
    """When to give a job up."""

    max_runtime_seconds: int | None = Field(None, ge=1, le=30 * 86_400)


class JobCreate(Request):
    """What to compress, with what data, how."""

    model: str = Field(max_length=64, description="id of an uploaded model")
    dataset: str = Field(max_length=64, description="id of an uploaded data set")
    recipe: Recipe = Field(default_factory=Recipe)
    metadata: Metadata = Field(default_factory=dict)
    priority: int = Field(0, ge=-100, le=100, description="higher runs earlier")
    limits: JobLimits = Field(default_factory=JobLimits)


class ValidationLinks(Resource):
    """Where to go from a job that was not submitted; paths on this server."""

    analysis: str


class JobValidation(Resource):
    """A job that would be accepted, with every default of its recipe filled in, and what its data mean to it."""

    object: Literal["job.validation"] = "job.validation"
    model: str
    dataset: str
    recipe: dict[str, Any]
    priority: int
    limits: dict[str, Any]
    metadata: dict[str, str]
    status: Literal["checked", "pending"] = Field(
        description="`pending`: no worker has looked at the data yet; ask again"
    )
    waiting_for: str | None = Field(
        None, description="while pending: what has to happen first, and where to look"
    )
    data: DataCheck | None = Field(
        description="what the data mean to this job; null while the analysis is pending"
    )
    analysis: str = Field(description="id of the analysis by which a worker looks at the data")
    links: ValidationLinks


class JobProgress(Resource):
    """How far a job is."""

    fraction: float = Field(description="0 to 1 over the whole job")
    step: int | None = None
    total_steps: int | None = None
    eta_seconds: float | None = None
    metrics: dict[str, float | None] = Field(default_factory=dict)
    queue_position: int | None = Field(None, description="1 is next; only while queued")


class JobLinks(Resource):
    """Where to go from a job; paths on this server."""

    self: str
    events: str
    cancel: str
    candidates: str
    model: str
    report: str


class JobUsage(Resource):
    """What a job has cost so far."""

    cpu_seconds: float | None = None
    gpu_seconds: float | None = None
    peak_memory_bytes: int | None = None


class Job(Resource):
    """A compression job."""

    id: str
    object: Literal["job"] = "job"
    status: Status = Field(description="extensible")
    status_reason: str | None
    stage: str | None = Field(description="where inside running")
    outcome: str | None = Field(description="`target_met`, `target_not_met` or `no_gain`")
    model: str
    dataset: str
    recipe: dict[str, Any]
    metadata: dict[str, str]
    priority: int
    limits: dict[str, Any]
    attempt: int
    progress: JobProgress
    result: dict[str, Any] | None
    chosen_candidate: str | None
    error: Problem | None
    usage: JobUsage
    created_at: Timestamp
    queued_at: Timestamp | None
    started_at: Timestamp | None
    finished_at: Timestamp | None
    cancel_requested_at: Timestamp | None
    links: JobLinks

    @property
    def is_terminal(self) -> bool:
        """True when the state will not change any more."""
        return self.status in TERMINAL
