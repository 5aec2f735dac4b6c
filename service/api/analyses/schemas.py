"""Analyses as they are asked for and as they are shown."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from service.api.problems.schemas import Problem
from service.api.schemas import Request, Resource, Timestamp
from spectral_engine.records.analysis import Analysis
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.target import Target

Status = Literal["queued", "running", "succeeded", "failed"]
TERMINAL = frozenset({"succeeded", "failed"})


class AnalysisCreate(Request):
    """Which model to analyze, and what is wanted of it."""

    model: str = Field(max_length=64, description="id of an uploaded model")
    dataset: str | None = Field(
        None, max_length=64, description="id of an uploaded data set: what does it mean beside it?"
    )
    target: Target | None = Field(None, description="a recipe's target: could narrowing meet it?")
    batch_size: int | None = Field(
        None, ge=1, le=65_536, description="for the estimate of training; by default a recipe's"
    )
    recipe: Recipe | None = Field(
        None,
        description="a job's recipe, beside a data set: what do the data mean to that job? The analysis fails as the "
        "job would before it trains",
    )


class AnalysisLinks(Resource):
    """Where to go from an analysis; paths on this server."""

    self: str
    model: str


class ModelAnalysis(Resource):
    """An analysis of a model: seconds of work, and its result."""

    id: str
    object: Literal["analysis"] = "analysis"
    status: Status = Field(description="extensible")
    model: str
    dataset: str | None = None
    target: Target | None
    batch_size: int | None
    recipe: dict[str, Any] | None = Field(
        None, description="as it was asked for, with every default filled in"
    )
    result: Analysis | None
    error: Problem | None
    queue_position: int | None = Field(description="1 is next; only while queued")
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    links: AnalysisLinks

    @property
    def is_terminal(self) -> bool:
        """True when the state will not change any more."""
        return self.status in TERMINAL
