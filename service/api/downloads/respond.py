"""A stored file as an answer: whole, a range of it, or `not modified`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.api.digests import etag, repr_digest
from service.api.downloads.ranges import Span, matches, wanted_span
from service.api.media_types import OCTETS
from service.store.artifacts.blobs import ArtifactStore

MEDIA_TYPE = OCTETS  # of files that are stored as they came
UNSAFE = re.compile(r"[^A-Za-z0-9 ._()+-]")
# Content under a digest never changes, but who may read it can.
CACHING = "private, max-age=31536000, immutable"


def respond_with_file(
    request: Request,
    artifacts: ArtifactStore,
    sha256: str,
    *,
    media_type: str,
    file_name: str,
    inline: bool = False,
    headers: dict[str, str] | None = None,
) -> Response:
    """Answer with a stored file, honouring If-None-Match, Range and If-Range."""
    tag = etag(sha256)
    sent = {
        "ETag": tag,
        "Cache-Control": CACHING,
        "Accept-Ranges": "bytes",
        "Repr-Digest": repr_digest(sha256),
        "Content-Disposition": disposition(file_name, inline),
        **(headers or {}),
    }
    if matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=sent)
    size_bytes = artifacts.size(sha256)
    span = _span(request, tag, size_bytes)
    status = 206 if span else 200
    if span:
        sent["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size_bytes}"
    sent["Content-Length"] = str(len(span) if span else size_bytes)
    body = _read(artifacts, sha256, span)
    return StreamingResponse(body, status, sent, media_type=media_type)


def _span(request: Request, tag: str, size_bytes: int) -> Span | None:
    if request.headers.get("if-range", tag) != tag:
        return None
    return wanted_span(request.headers.get("range"), size_bytes)


def _read(artifacts: ArtifactStore, sha256: str, span: Span | None) -> Iterator[bytes]:
    if span is None:
        return artifacts.open(sha256)
    return artifacts.open(sha256, span.start, span.stop)


def disposition(file_name: str, inline: bool) -> str:
    """Return a Content-Disposition whose name is harmless in ASCII and whole in UTF-8."""
    kind = "inline" if inline else "attachment"
    plain = UNSAFE.sub("_", file_name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"
