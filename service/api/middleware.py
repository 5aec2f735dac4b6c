"""What every request goes through: an id, a time, and a problem where all else failed."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.metrics import Metrics
from service.api.problems.render import problem_response

log = logging.getLogger("eigenpress.api")
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


class RequestContext:
    """Pure ASGI middleware: X-Request-Id in and out, latency by route, last-resort 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        if exchange.is_head:
            # Whatever can be got can be asked about: the same answer, stopped before its body.
            scope = {**scope, "method": "GET"}
        try:
            await self.app(scope, receive, exchange.send)
        except (ClientDisconnect, HeadSent):
            if not exchange.is_head:
                log.info("client went away: %s %s", scope["method"], scope["path"])
        except Exception:
            log.exception("request %s failed", exchange.request_id)
            if exchange.status:
                raise
            request = Request(scope)
            detail = "The request could not be completed."
            answer = problem_response(request, "internal", detail, retryable=True)
            await answer(scope, receive, exchange.send)
        finally:
            self.metrics.observe(
                exchange.method, _template(scope), exchange.status, exchange.seconds
            )


class HeadSent(OSError):
    """The answer to a HEAD is complete. An OSError, so that streams take it for a hang-up."""


class _Exchange:
    """One request and what is known of its answer."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._started = time.perf_counter()
        self.method: str = scope["method"]
        self.is_head = self.method == "HEAD"
        self.request_id = _request_id(scope)
        self.status = 0
        self.seconds = 0.0
        scope.setdefault("state", {})["request_id"] = self.request_id

    async def send(self, message: Message) -> None:
        """Pass a message on; note status and time when the answer starts."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.seconds = time.perf_counter() - self._started
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", self.request_id.encode()),
                (b"x-content-type-options", b"nosniff"),
            ]
        await self._send(message)
        if self.is_head and message["type"] == "http.response.start":
            await self._send({"type": "http.response.body", "body": b""})
            raise HeadSent


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return str(value.decode("ascii"))
    return uuid.uuid4().hex


def _template(scope: Scope) -> str:
    # Never the path itself: ids in a label would make a time series of every job.
    return getattr(scope.get("route"), "path_format", "unmatched")
