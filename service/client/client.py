"""The client: one connection, four collections."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx2

from service.client.analyses import Analyses
from service.client.collections import Datasets, Models
from service.client.credentials import find_key
from service.client.jobs import Jobs
from service.client.transport import Transport


class Client:
    """A connection to a service. Leaving its context closes it and cancels no job.

    `key` is an API key, by default that of EIGENPRESS_API_KEY or in the file EIGENPRESS_API_KEY_FILE; a service on
    loopback may need none.
    `timeout` is in seconds, for each step of a request; `transport` replaces the network in tests.
    """

    def __init__(
        self,
        base_url: str,
        timeout: float = 30.0,
        *,
        key: str | None = None,
        retries: int = 4,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._transport = Transport(base_url, timeout, retries, transport, find_key(key))
        self.models = Models(self._transport)
        self.datasets = Datasets(self._transport)
        self.analyses = Analyses(self._transport)
        self.jobs = Jobs(self._transport)

    def ready(self) -> dict[str, Any]:
        """Return what `/readyz` says; raises ApiError while the service is not ready."""
        answer: dict[str, Any] = self._transport.request("GET", "/readyz").json()
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._transport.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
