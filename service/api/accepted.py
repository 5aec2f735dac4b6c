"""The answer to work that was taken in and is not done yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from service.api.json_text import json_response

NO_STORE = {"Cache-Control": "no-store"}


def accepted(shown: Mapping[str, Any], replayed: bool, retry_after_seconds: int) -> Response:
    """Return 202 with where to look for it, and when; `replayed` says that this answer was given before."""
    headers = {
        "Location": shown["links"]["self"],
        "Retry-After": str(retry_after_seconds),
        **({"Idempotent-Replayed": "true"} if replayed else {}),
        **NO_STORE,
    }
    return json_response(shown, 202, headers)
