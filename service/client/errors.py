"""What can go wrong between a client and the service."""

from __future__ import annotations

import httpx2
from pydantic import ValidationError

from service.api.problems.schemas import Problem


class ClientError(Exception):
    """Base of all errors that the client raises on purpose."""


class ConnectionFailed(ClientError):
    """The server could not be reached, also after the retries."""


class DigestError(ClientError):
    """What arrived is not what the server announced."""


class ApiError(ClientError):
    """The server answered with an error."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title} ({problem.status} {problem.code}): {problem.detail}")
        self.problem = problem
        self.status = problem.status
        self.code = problem.code


class JobFailed(ClientError):
    """The job ended as failed."""

    def __init__(self, job_id: str, problem: Problem) -> None:
        super().__init__(f"{job_id} failed ({problem.code}): {problem.detail}")
        self.job_id = job_id
        self.problem = problem


def problem_of(response: httpx2.Response) -> Problem:
    """Return the problem of an error answer, also where a proxy wrote it without one."""
    try:
        return Problem.model_validate_json(response.content)
    except ValidationError:
        return Problem(
            type="about:blank",
            title=response.reason_phrase or "Error",
            status=response.status_code,
            detail=response.text[:500],
            code="internal",
            request_id=response.headers.get("x-request-id"),
        )
