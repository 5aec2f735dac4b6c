"""Jobs, seen from a client."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import PrivateAttr

from service.api.candidates.schemas import Candidate, CandidateList
from service.api.events.schemas import JobEvent
from service.api.jobs.schemas import Job as JobBody
from service.api.jobs.schemas import JobValidation
from service.api.schemas import Page
from service.client.events import follow
from service.client.files import beside, download
from service.client.transport import Transport
from service.client.waiting import LONG_POLL_SECONDS, take_fields, wait_for_end, waiting
from spectral_engine.records.recipe import Recipe

ReportFormat = Literal["json", "html", "csv"]
RecipeLike = Recipe | Mapping[str, Any] | None


class Job(JobBody):
    """A job that can be asked for more; its fields are those of the last answer."""

    _jobs: Jobs = PrivateAttr()

    @classmethod
    def of(cls, jobs: Jobs, content: bytes) -> Self:
        """Read a job from an answer."""
        job = cls.model_validate_json(content)
        job._jobs = jobs
        return job

    def refresh(self, wait_seconds: float = 0.0) -> Self:
        """Ask for the job's state, waiting up to `wait_seconds` for its end; return itself."""
        return self._take(self._jobs.get(self.id, wait_seconds=wait_seconds))

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until the job has ended; return itself.

        Raises JobFailed when it failed, TimeoutError when `timeout` seconds pass first. A cancelled
        job is returned like one that succeeded; see `status`.
        """
        wait_for_end(self, timeout)
        return self

    def events(self, after: int = 0) -> Iterator[JobEvent]:
        """Yield what happened after sequence `after`, and what happens, until the job has ended."""
        return self._jobs.events(self.id, after)

    def cancel(self) -> Self:
        """Ask for the job to stop; return itself. Raises ApiError `job-terminal` when it ended."""
        return self._take(self._jobs.cancel(self.id))

    def candidates(self) -> tuple[Candidate, ...]:
        """Return the compressed models so far, from wide to narrow."""
        return self._jobs.candidates(self.id)

    def download_model(self, path: str | Path, candidate: str | None = None) -> Path:
        """Write the chosen model, or the named candidate, to `path`, and its external data beside it."""
        return self._jobs.download_model(self.id, path, candidate)

    def download_report(self, path: str | Path, format: ReportFormat | None = None) -> Path:
        """Write the report to `path`; the format is told from its suffix where none is given."""
        return self._jobs.download_report(self.id, path, format)

    def _take(self, other: Job) -> Self:
        take_fields(self, other)
        return self


class Jobs:
    """All jobs of a service."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        model: str,
        dataset: str,
        recipe: RecipeLike = None,
        metadata: Mapping[str, str] | None = None,
        priority: int = 0,
        limits: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a job. Sent twice under one key it is still one job; a key is made if not given."""
        body = _body(model, dataset, recipe, metadata, priority, limits)
        key = idempotency_key or str(uuid.uuid4())
        answer = self._transport.request(
            "POST", "/v1/jobs", json=body, headers={"Idempotency-Key": key}
        )
        return Job.of(self, answer.content)

    def validate(
        self,
        *,
        model: str,
        dataset: str,
        recipe: RecipeLike = None,
        metadata: Mapping[str, str] | None = None,
        priority: int = 0,
        limits: Mapping[str, Any] | None = None,
        wait_seconds: float = 20.0,
    ) -> JobValidation:
        """Return the job as it would be executed and what its data mean to it, without submitting it.

        Waits so long for a worker to look at the data, to the second; `status` is `pending` where none has by then.
        Raises ApiError with the problem that the job would fail with.
        """
        body = _body(model, dataset, recipe, metadata, priority, limits)
        until = time.monotonic() + wait_seconds
        while True:
            left = max(0.0, until - time.monotonic())
            validation = self._validate(body, ceil(min(left, LONG_POLL_SECONDS)))
            if validation.status != "pending" or time.monotonic() >= until:
                return validation

    def _validate(self, body: Mapping[str, Any], wait_seconds: int) -> JobValidation:
        answer = self._transport.request(
            "POST",
            "/v1/jobs",
            json=body,
            params={"validate_only": "true"},
            headers={"Prefer": f"wait={wait_seconds}"},
            timeout=self._transport.timeout + wait_seconds,
        )
        return JobValidation.model_validate_json(answer.content)

    def get(self, job_id: str, *, wait_seconds: float = 0.0) -> Job:
        """Return one job; with `wait_seconds` the server waits that long for its end."""
        options = waiting(wait_seconds, self._transport.timeout)
        answer = self._transport.request("GET", f"/v1/jobs/{job_id}", **options)
        return Job.of(self, answer.content)

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: Literal["asc", "desc"] | None = None,
        status: str | None = None,
        model: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Page[JobBody]:
        """Return one page of jobs."""
        query = {"limit": limit, "after": after, "order": order, "status": status, "model": model}
        given = {name: value for name, value in query.items() if value is not None}
        given |= {f"metadata[{key}]": value for key, value in (metadata or {}).items()}
        answer = self._transport.request("GET", "/v1/jobs", params=given)
        return Page[JobBody].model_validate_json(answer.content)

    def cancel(self, job_id: str) -> Job:
        """Ask for a job to stop."""
        # Cancelling twice is cancelling once, so the key only says that it may be repeated.
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        answer = self._transport.request("POST", f"/v1/jobs/{job_id}/cancel", headers=headers)
        return Job.of(self, answer.content)

    def events(self, job_id: str, after: int = 0) -> Iterator[JobEvent]:
        """Yield a job's events after sequence `after` until it has ended."""
        return follow(self._transport, f"/v1/jobs/{job_id}/events", after)

    def candidates(self, job_id: str) -> tuple[Candidate, ...]:
        """Return a job's compressed models so far, from wide to narrow."""
        answer = self._transport.request("GET", f"/v1/jobs/{job_id}/candidates")
        return tuple(CandidateList.model_validate_json(answer.content).data)

    def download_model(self, job_id: str, path: str | Path, candidate: str | None = None) -> Path:
        """Write a job's chosen model, or the named candidate, to `path`.

        Files of external data go beside it under their own names, which the model knows them by. They are there
        when the model appears.
        """
        to = Path(path)
        of = f"/v1/jobs/{job_id}{f'/candidates/{candidate}' if candidate else ''}/model"
        for name in self._external(job_id, candidate):
            download(self._transport, f"{of}/external/{name}", beside(to, name))
        return download(self._transport, of, to)

    def _external(self, job_id: str, candidate: str | None) -> Sequence[str]:
        for one in self.candidates(job_id):
            if one.id == candidate or (candidate is None and one.chosen):
                return [file.name for file in one.external]
        return []

    def download_report(
        self, job_id: str, path: str | Path, format: ReportFormat | None = None
    ) -> Path:
        """Write a job's report to `path`; the format is told from its suffix if not given."""
        to = Path(path)
        suffix = to.suffix.removeprefix(".").lower()
        query = {"format": format or {"": "json", "htm": "html"}.get(suffix, suffix)}
        return download(self._transport, f"/v1/jobs/{job_id}/report", to, params=query)


def _body(
    model: str,
    dataset: str,
    recipe: RecipeLike,
    metadata: Mapping[str, str] | None,
    priority: int,
    limits: Mapping[str, Any] | None,
) -> dict[str, Any]:
    if isinstance(recipe, Recipe):
        recipe = recipe.model_dump(mode="json")
    return {
        "model": model,
        "dataset": dataset,
        "recipe": dict(recipe or {}),
        "metadata": dict(metadata or {}),
        "priority": priority,
        "limits": dict(limits or {}),
    }
