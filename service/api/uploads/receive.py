"""An upload from the first byte to a file in the store: hashed once, in constant memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from service.api import digests
from service.api.text import display_name
from service.api.uploads.fields import read_fields, refuse
from service.api.uploads.multipart import FILE_FIELD, MAX_FIELD_BYTES, MAX_FIELDS, FormReader
from service.errors import RequestTooLarge, UnsupportedMediaType
from service.store.artifacts.blobs import ArtifactStore, ArtifactWriter

Fields = TypeVar("Fields", bound=BaseModel)

WRITE_BYTES = 1 << 20
# What a form may be longer than the file in it.
FORM_OVERHEAD_BYTES = MAX_FIELDS * (MAX_FIELD_BYTES + 8192)


@dataclass(frozen=True)
class Received(Generic[Fields]):
    """A file that is in the store, and what was said about it."""

    sha256: str
    size_bytes: int
    file_name: str | None
    fields: Fields

    def fingerprint(self) -> dict[str, Any]:
        """Return what makes two uploads the same."""
        return {"sha256": self.sha256, "fields": self.fields.model_dump(mode="json")}


async def receive(
    request: Request, artifacts: ArtifactStore, schema: type[Fields], max_bytes: int
) -> Received[Fields]:
    """Stream a request's file into the store; nothing stays behind unless all of it is right.

    Raises RequestTooLarge, DigestMismatch, InvalidRequest (empty or missing file, bad field) and
    UnsupportedMediaType.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        _refuse_long(request, max_bytes + FORM_OVERHEAD_BYTES, max_bytes)
        return await _receive_form(request, artifacts, schema, max_bytes)
    if media_type == "application/octet-stream":
        _refuse_long(request, max_bytes, max_bytes)
        return await _receive_raw(request, artifacts, schema, max_bytes)
    raise UnsupportedMediaType(
        "Send multipart/form-data with a `file`, or the bytes as application/octet-stream."
    )


async def _receive_raw(
    request: Request, artifacts: ArtifactStore, schema: type[Fields], max_bytes: int
) -> Received[Fields]:
    fields = read_fields(schema, request.query_params.multi_items(), "query")
    given = digests.announced(request.headers)
    with artifacts.writer() as writer:
        sink = _Sink(writer, max_bytes)
        async for chunk in request.stream():
            await sink.take(chunk)
        sha256 = await sink.close("body")
        digests.check(given, sha256)
        await run_in_threadpool(writer.finish)
    return Received(sha256, sink.size_bytes, display_name(getattr(fields, "name", None)), fields)


async def _receive_form(
    request: Request, artifacts: ArtifactStore, schema: type[Fields], max_bytes: int
) -> Received[Fields]:
    reader = FormReader(request.headers["content-type"])
    given = digests.announced(request.headers)
    with artifacts.writer() as writer:
        sink = _Sink(writer, max_bytes)
        body = await _feed(request, reader, sink, hash_body=bool(given))
        reader.finish()
        sha256 = await sink.close("form")
        digests.check(digests.announced(reader.file_headers), sha256)
        # RFC 9530 means the whole form; people mean the file in it. Either proves what arrived.
        digests.check(given, sha256, body)
        pairs = [*reader.fields, *request.query_params.multi_items()]
        fields = read_fields(schema, pairs, "form")
        await run_in_threadpool(writer.finish)
    return Received(sha256, sink.size_bytes, reader.file_name, fields)


async def _feed(request: Request, reader: FormReader, sink: _Sink, hash_body: bool) -> str:
    body = hashlib.sha256()
    async for chunk in request.stream():
        if hash_body:
            body.update(chunk)
        await sink.take(reader.feed(chunk))
    return body.hexdigest()


class _Sink:
    """Gathers what trickles in and writes it in large pieces, away from the event loop."""

    def __init__(self, writer: ArtifactWriter, max_bytes: int) -> None:
        self._writer = writer
        self._max_bytes = max_bytes
        self._waiting = bytearray()
        self.size_bytes = 0

    async def take(self, data: bytes) -> None:
        self.size_bytes += len(data)
        if self.size_bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        self._waiting += data
        if len(self._waiting) >= WRITE_BYTES:
            await self._write()

    async def close(self, location: str) -> str:
        """Write the rest; return the SHA-256 of all."""
        if not self.size_bytes:
            refuse(FILE_FIELD, "empty", location)
        await self._write()
        return self._writer.sha256

    async def _write(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        await run_in_threadpool(self._writer.write, waiting)


def _refuse_long(request: Request, max_body_bytes: int, max_bytes: int) -> None:
    # Says no before the bytes are sent, where the client tells how many they are.
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > max_body_bytes:
        raise too_large(max_bytes)


def too_large(max_bytes: int) -> RequestTooLarge:
    """Return the error of a file over the limit."""
    detail = f"The file is longer than {max_bytes} bytes."
    item = {"detail": detail, "pointer": f"#/{FILE_FIELD}", "location": "body"}
    return RequestTooLarge(detail, errors=[item])
