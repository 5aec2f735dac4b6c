"""`Range`, `If-Range` and `If-None-Match` of RFC 9110, for one range of bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.errors import RangeNotSatisfiable

ONE_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")


@dataclass(frozen=True)
class Span:
    """Bytes `start` up to, not including, `stop`."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def wanted_span(header: str | None, size_bytes: int) -> Span | None:
    """Return the span that a Range header asks for, or None for the whole.

    What is not one range of bytes is passed over, as RFC 9110 permits. Raises RangeNotSatisfiable
    for a range beyond the end.
    """
    match = ONE_RANGE.fullmatch(header or "")
    first, last = match.groups() if match else ("", "")
    if not first and not last:
        return None
    if not first:
        start, stop = max(size_bytes - int(last), 0), size_bytes
    else:
        start, stop = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= stop:
        raise RangeNotSatisfiable(
            f"{header} lies outside of {size_bytes} bytes.",
            headers={"Content-Range": f"bytes */{size_bytes}"},
        )
    return Span(start, stop)


def matches(header: str | None, etag: str) -> bool:
    """Say whether an If-None-Match header names `etag` (weak comparison)."""
    tags = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return etag in tags or "*" in tags
