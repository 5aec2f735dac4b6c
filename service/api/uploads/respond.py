"""The answer to an upload."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from service.api.digests import etag, repr_digest
from service.api.json_text import json_response


def created(body: dict[str, Any], replayed: bool) -> Response:
    """Answer 201 with where the resource is and what was stored."""
    headers = {
        "Location": body["links"]["self"],
        "ETag": etag(body["sha256"]),
        "Repr-Digest": repr_digest(body["sha256"]),
    }
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return json_response(body, 201, headers)
