"""What the engine's process tells the worker: JSON objects, one a line.

{"kind": "progress", …}   a `spectral_engine.records.progress.Progress`, as a dict
{"kind": "done", "summary": {…}}
{"kind": "error", "error": {"code", "detail", …}}
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

Message = dict[str, Any]


def encode(message: Message) -> bytes:
    """Return a message as one line; numbers that JSON lacks become null, paths become texts."""
    return json.dumps(_plain(message), allow_nan=False).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


class LineReader:
    """Puts lines together from the pieces in which a pipe delivers them."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that `data` completes; a line that is no JSON is passed over."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [message for line in lines if (message := _decode(line)) is not None]


def _decode(line: bytes) -> Message | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
