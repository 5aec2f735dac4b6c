"""Requests with retries: only those that are safe to send twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from service.client.errors import ApiError, ConnectionFailed, problem_of

RETRIED_STATUS = {429, 502, 503, 504}
LONGEST_PAUSE_SECONDS = 60.0
# Nothing was sent, so sending it is no repetition.
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class Transport:
    """An HTTP connection to one server."""

    def __init__(
        self,
        base_url: str,
        timeout: float,
        retries: int,
        transport: httpx2.BaseTransport | None = None,
        key: str | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx2.Client(
            base_url=base_url, timeout=timeout, transport=transport, headers=headers
        )
        self.timeout = timeout
        self.retries = retries

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Iterator[bytes]] | None = None,
        **options: Any,
    ) -> httpx2.Response:
        """Send a request and return the answer; raise ApiError for 4xx and 5xx.

        `body` opens the content anew for every attempt.
        """
        sent = dict(headers or {})
        repeatable = method in {"GET", "HEAD"} or "Idempotency-Key" in sent
        for attempt in range(self.retries + 1):
            last = attempt == self.retries
            if body is not None:
                options["content"] = body()
            try:
                answer = self.http.request(method, path, headers=sent, **options)
            except httpx2.TransportError as error:
                if last or not (repeatable or isinstance(error, NOT_SENT)):
                    raise ConnectionFailed(f"{method} {path}: {error}") from error
                time.sleep(_pause(attempt))
                continue
            if last or not repeatable or answer.status_code not in RETRIED_STATUS:
                return checked(answer)
            pause = _pause(attempt, answer.headers.get("retry-after"))
            if pause > LONGEST_PAUSE_SECONDS:  # tomorrow, as a quota of the day says
                return checked(answer)
            time.sleep(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    @contextmanager
    def stream(self, path: str, **options: Any) -> Iterator[httpx2.Response]:
        """Open an answer that is read piece by piece; raise ApiError for 4xx and 5xx."""
        with self.http.stream("GET", path, **options) as answer:
            if answer.is_error:
                answer.read()
            yield checked(answer)


def checked(answer: httpx2.Response) -> httpx2.Response:
    """Return the answer; raise ApiError for 4xx and 5xx."""
    if answer.is_error:
        raise ApiError(problem_of(answer))
    return answer


def _pause(attempt: int, retry_after: str | None = None) -> float:
    if retry_after and retry_after.isdigit():
        return float(retry_after)
    # Jitter, so that clients which failed together do not come back together.
    return random.uniform(0.5, 1.0) * min(0.25 * 2.0**attempt, 8.0)
