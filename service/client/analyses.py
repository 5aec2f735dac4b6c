"""Analyses, seen from a client."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Self

from pydantic import PrivateAttr

from service.api.analyses.schemas import ModelAnalysis
from service.api.schemas import Page
from service.client.transport import Transport
from service.client.waiting import take_fields, wait_for_end, waiting
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.target import Target


class Analysis(ModelAnalysis):
    """An analysis that can be waited for; its fields are those of the last answer."""

    _analyses: Analyses = PrivateAttr()

    @classmethod
    def of(cls, analyses: Analyses, content: bytes) -> Self:
        """Read an analysis from an answer."""
        analysis = cls.model_validate_json(content)
        analysis._analyses = analyses
        return analysis

    def refresh(self, wait_seconds: float = 0.0) -> Self:
        """Ask for its state, waiting up to `wait_seconds` for its end; return itself."""
        take_fields(self, self._analyses.get(self.id, wait_seconds=wait_seconds))
        return self

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until it has ended; return itself, with its `result`.

        Raises JobFailed when it failed, TimeoutError when `timeout` seconds pass first.
        """
        wait_for_end(self, timeout)
        return self


class Analyses:
    """All analyses of a service."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        model: str,
        dataset: str | None = None,
        target: Target | Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        recipe: Recipe | Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Analysis:
        """Ask for an analysis of an uploaded model, and of a data set beside it, to a job of this recipe if given.

        Sent twice under one key it is still one.
        """
        if isinstance(target, Target):
            target = target.model_dump(mode="json")
        if isinstance(recipe, Recipe):
            recipe = recipe.model_dump(mode="json")
        body = {
            "model": model,
            "dataset": dataset,
            "target": None if target is None else dict(target),
            "batch_size": batch_size,
            **({} if recipe is None else {"recipe": dict(recipe)}),
        }
        key = idempotency_key or str(uuid.uuid4())
        answer = self._transport.request(
            "POST", "/v1/analyses", json=body, headers={"Idempotency-Key": key}
        )
        return Analysis.of(self, answer.content)

    def get(self, analysis_id: str, *, wait_seconds: float = 0.0) -> Analysis:
        """Return one analysis; with `wait_seconds` the server waits that long for its end."""
        options = waiting(wait_seconds, self._transport.timeout)
        answer = self._transport.request("GET", f"/v1/analyses/{analysis_id}", **options)
        return Analysis.of(self, answer.content)

    def list(self, **query: Any) -> Page[ModelAnalysis]:
        """Return one page of analyses; `limit`, `after`, `order`, `status`, `model`."""
        answer = self._transport.request("GET", "/v1/analyses", params=query)
        return Page[ModelAnalysis].model_validate_json(answer.content)
