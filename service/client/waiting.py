"""Waiting for the end of what runs on the server."""

from __future__ import annotations

import time
from typing import Any, Protocol

from pydantic import BaseModel

from service.api.problems.schemas import Problem
from service.client.errors import JobFailed

LONG_POLL_SECONDS = 25.0


class Running(Protocol):
    """A job or an analysis, as far as waiting for it goes."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def error(self) -> Problem | None: ...  # noqa: D102
    @property
    def is_terminal(self) -> bool: ...  # noqa: D102

    def refresh(self, wait_seconds: float = 0.0) -> Any:
        """Ask for the state anew."""


def wait_for_end(one: Running, timeout: float | None) -> None:
    """Refresh until it has ended. Raises JobFailed when it failed, TimeoutError when time runs out."""
    until = time.monotonic() + timeout if timeout is not None else float("inf")
    while not one.is_terminal:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{one.id} is still {one.status} after {timeout} s")
        one.refresh(min(left, LONG_POLL_SECONDS))
    if one.status == "failed" and one.error is not None:
        raise JobFailed(one.id, one.error)


def take_fields(one: BaseModel, other: BaseModel) -> None:
    """Give `one` the fields of a later answer, and leave the rest of it alone."""
    for field in type(one).model_fields:
        setattr(one, field, getattr(other, field))


def waiting(wait_seconds: float, timeout: float) -> dict[str, Any]:
    """Return the options of a request that the server answers at the end, or after so long."""
    if wait_seconds <= 0:
        return {}
    return {"params": {"wait": round(wait_seconds, 3)}, "timeout": timeout + wait_seconds}
