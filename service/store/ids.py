"""Ids that sort by time: a prefix and a UUIDv7 (RFC 9562) in hex."""

from __future__ import annotations

import os
import re
import threading
import time

ID = re.compile(r"[a-z]+_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")

_lock = threading.Lock()
_last_ticks = 0


def new_id(prefix: str) -> str:
    """Return a new id. Ids of one process ascend, also within a millisecond."""
    ticks = _next_ticks()
    milliseconds, fraction = divmod(ticks, 4096)
    tail = int.from_bytes(os.urandom(8)) & (2**62 - 1) | 2**63
    return f"{prefix}{milliseconds:012x}7{fraction:03x}{tail:016x}"


def _next_ticks() -> int:
    # Milliseconds and 12 bits of their fraction: method 3 of RFC 9562, section 6.2.
    global _last_ticks  # noqa: PLW0603  # one clock for the process is the point
    with _lock:
        now = time.time_ns() * 4096 // 1_000_000
        _last_ticks = max(now, _last_ticks + 1)
        return _last_ticks


def is_id(text: str, prefix: str) -> bool:
    """Say whether `text` is an id with this prefix."""
    return text.startswith(prefix) and ID.fullmatch(text) is not None
