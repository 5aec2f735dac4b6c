"""A job's events as they come: by event stream, or page by page where streams do not get through."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2

from service.api.events.schemas import TERMINAL_EVENTS, EventPage, JobEvent
from service.client.transport import Transport, checked

READ_TIMEOUT_SECONDS = 45.0  # three heartbeats of the server
RECONNECT_SECONDS = 0.5
POLL_SECONDS = 1.0
TRIES = 4
NO_CONTENT = 204


def follow(transport: Transport, path: str, after: int) -> Iterator[JobEvent]:
    """Yield the events after sequence `after`; return after the terminal one.

    A broken stream is taken up again where it broke. When streams bring nothing several times in a
    row, the events are polled for instead.
    """
    fruitless = 0
    while fruitless < TRIES:
        before = after
        try:
            for event in _stream(transport, path, after):
                yield event
                after = event.sequence
                if event.type in TERMINAL_EVENTS:
                    return
        except _Ended:
            return
        except httpx2.TransportError:
            time.sleep(RECONNECT_SECONDS)
        fruitless = 0 if after > before else fruitless + 1
        time.sleep(RECONNECT_SECONDS)
    yield from _poll(transport, path, after)


class _Ended(Exception):
    """The server has nothing more to say, ever."""


def _stream(transport: Transport, path: str, after: int) -> Iterator[JobEvent]:
    timeout = httpx2.Timeout(transport.timeout, read=READ_TIMEOUT_SECONDS)
    headers = {"Last-Event-ID": str(after)}
    with transport.http.sse(path, headers=headers, timeout=timeout) as source:
        if source.response.status_code == NO_CONTENT:
            raise _Ended
        if source.response.is_error:
            source.response.read()
            checked(source.response)
        for message in source:
            if message.data:
                yield JobEvent.model_validate_json(message.data)


def _poll(transport: Transport, path: str, after: int) -> Iterator[JobEvent]:
    while True:
        query = {"after": after, "limit": 100}
        answer = transport.request("GET", path, params=query)
        page = EventPage.model_validate_json(answer.content)
        yield from page.data
        after = page.last_sequence
        if page.job_ended and not page.has_more:
            return
        if not page.has_more:
            time.sleep(POLL_SECONDS)
