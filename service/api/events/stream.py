"""The events of a job as a WHATWG event stream: what was, then what comes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from anyio import sleep

from service.api.events.schemas import TERMINAL_EVENTS
from service.api.json_text import encode

Event = dict[str, Any]
Read = Callable[[int], Awaitable[list[Event]]]

MEDIA_TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0
MAX_LIFE_SECONDS = 600.0
RETRY_MILLISECONDS = 3000


async def event_stream(
    read: Read, after: int, is_closing: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Yield every event after sequence `after` until the job's terminal one.

    `read(sequence)` returns the next events after a sequence. The stream also ends after ten minutes
    or when the server closes; the client then comes back with Last-Event-ID.
    """
    yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
    born = spoke = time.monotonic()
    while not is_closing() and time.monotonic() - born < MAX_LIFE_SECONDS:
        events = await read(after)
        for event in events:
            yield frame(event)
            after = event["sequence"]
            if event["type"] in TERMINAL_EVENTS:
                return
        if events:
            spoke = time.monotonic()
        elif time.monotonic() - spoke >= HEARTBEAT_SECONDS:
            yield b": still here\n\n"
            spoke = time.monotonic()
        await sleep(POLL_SECONDS)


def frame(event: Event) -> bytes:
    """Write one event; JSON in ASCII has no line breaks, so one data line is enough."""
    head = f"id: {event['sequence']}\nevent: {event['type']}\ndata: ".encode()
    return head + encode(event) + b"\n\n"
