"""JSON as the API writes it."""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.responses import Response


def encode(value: Any) -> bytes:
    """Return compact ASCII JSON; numbers that JSON does not have become null."""
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def json_response(
    value: Any, status_code: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Answer with JSON that was built as it is to be sent: nothing is validated again."""
    return Response(encode(value), status_code, headers, media_type="application/json")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
