"""An upload from the first byte to a file in the store: hashed once, in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from service.api import digests
from service.api.media_types import OCTETS
from service.api.text import display_name
from service.api.uploads.fields import read_fields, refuse
from service.api.uploads.multipart import (
    FILE_FIELD,
    MAX_EXTERNAL,
    MAX_FIELD_BYTES,
    MAX_FIELDS,
    FilePart,
    FormReader,
)
from service.api.uploads.room import Room
from service.errors import UnsupportedMediaType
from service.store.artifacts.blobs import ArtifactStore, ArtifactWriter

Fields = TypeVar("Fields", bound=BaseModel)

WRITE_BYTES = 1 << 20
# What a form may be longer than the files in it.
FORM_OVERHEAD_BYTES = MAX_FIELDS * (MAX_FIELD_BYTES + 8192) + MAX_EXTERNAL * 8192


@dataclass(frozen=True)
class ExternalFile:
    """A further file of an upload, in the store under its digest."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Received(Generic[Fields]):
    """A file that is in the store, and what was said about it."""

    sha256: str
    size_bytes: int
    file_name: str | None
    fields: Fields
    external: tuple[ExternalFile, ...] = ()

    def fingerprint(self) -> dict[str, Any]:
        """Return what makes two uploads the same."""
        external = {"external": self.external_json()} if self.external else {}
        return {"sha256": self.sha256, "fields": self.fields.model_dump(mode="json"), **external}

    def external_json(self) -> list[dict[str, Any]]:
        """Return the further files as the records keep them."""
        return [asdict(file) for file in self.external]


async def receive(
    request: Request,
    artifacts: ArtifactStore,
    schema: type[Fields],
    room: Room,
    file_fields: Collection[str] = (FILE_FIELD,),
) -> Received[Fields]:
    """Stream a request's files into the store; nothing stays behind unless all of it is right.

    `file_fields` are the parts of a form that are files; all together may take `room`.

    Raises RequestTooLarge, QuotaExceeded, DigestMismatch, InvalidRequest (empty or missing file, bad field) and
    UnsupportedMediaType.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        _refuse_long(request, FORM_OVERHEAD_BYTES, room)
        reader = FormReader(request.headers["content-type"], file_fields)
        return await _receive_form(request, artifacts, schema, reader, room)
    if media_type == OCTETS:
        _refuse_long(request, 0, room)
        return await _receive_raw(request, artifacts, schema, room)
    raise UnsupportedMediaType(
        "Send multipart/form-data with a `file`, or the bytes as application/octet-stream."
    )


async def _receive_raw(
    request: Request, artifacts: ArtifactStore, schema: type[Fields], room: Room
) -> Received[Fields]:
    fields = read_fields(schema, request.query_params.multi_items(), "query")
    given = digests.announced(request.headers)
    with artifacts.writer() as writer:
        sink = _Sink(writer, room)
        async for chunk in request.stream():
            await sink.take(chunk)
        sha256 = await sink.close(FILE_FIELD, "body")
        digests.check(given, sha256)
        await run_in_threadpool(writer.finish)
    return Received(sha256, sink.size_bytes, display_name(getattr(fields, "name", None)), fields)


async def _receive_form(
    request: Request,
    artifacts: ArtifactStore,
    schema: type[Fields],
    reader: FormReader,
    room: Room,
) -> Received[Fields]:
    given = digests.announced(request.headers)
    with ExitStack() as open_writers:
        sinks = _Sinks(artifacts, open_writers, room)
        body = await _feed(request, reader, sinks, hash_body=bool(given))
        reader.finish()
        stored = [await sinks.close(part) for part in reader.files]
        main = next(at for at, part in enumerate(reader.files) if part.field == FILE_FIELD)
        # RFC 9530 means the whole form; people mean the file in it. Either proves what arrived.
        digests.check(given, stored[main].sha256, body)
        pairs = [*reader.fields, *request.query_params.multi_items()]
        fields = read_fields(schema, pairs, "form")
        await sinks.finish()
    file = stored.pop(main)
    return Received(file.sha256, file.size_bytes, display_name(file.name), fields, tuple(stored))


async def _feed(request: Request, reader: FormReader, sinks: _Sinks, hash_body: bool) -> str:
    body = hashlib.sha256()
    async for chunk in request.stream():
        if hash_body:
            body.update(chunk)
        for part, data in reader.feed(chunk):
            await sinks.of(part).take(data)
    return body.hexdigest()


class _Sinks:
    """One sink for each file of a form."""

    def __init__(self, artifacts: ArtifactStore, writers: ExitStack, room: Room) -> None:
        self._artifacts, self._writers, self._room = artifacts, writers, room
        self._sinks: dict[FilePart, _Sink] = {}

    def of(self, part: FilePart) -> _Sink:
        if part not in self._sinks:
            writer = self._writers.enter_context(self._artifacts.writer())
            self._sinks[part] = _Sink(writer, self._room)
        return self._sinks[part]

    async def close(self, part: FilePart) -> ExternalFile:
        """Write the rest of a file, and check the digests that came with it."""
        sink = self.of(part)
        sha256 = await sink.close(part.field, "form")
        digests.check(digests.announced(part.headers), sha256)
        return ExternalFile(part.file_name, sha256, sink.size_bytes)

    async def finish(self) -> None:
        """Store all of them."""
        for sink in self._sinks.values():
            await run_in_threadpool(sink.writer.finish)


class _Sink:
    """Gathers what trickles in and writes it in large pieces, away from the event loop."""

    def __init__(self, writer: ArtifactWriter, room: Room) -> None:
        self.writer = writer
        self._room = room
        self._waiting = bytearray()
        self.size_bytes = 0

    async def take(self, data: bytes) -> None:
        self._room.take(len(data))
        self.size_bytes += len(data)
        self._waiting += data
        if len(self._waiting) >= WRITE_BYTES:
            await self._write()

    async def close(self, field: str, location: str) -> str:
        """Write the rest; return the SHA-256 of all."""
        if not self.size_bytes:
            refuse(field, "empty", location)
        await self._write()
        return self.writer.sha256

    async def _write(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        await run_in_threadpool(self.writer.write, waiting)


def _refuse_long(request: Request, overhead_bytes: int, room: Room) -> None:
    # Says no before the bytes are sent, where the client tells how many they are.
    length = request.headers.get("content-length", "")
    if length.isdigit():
        room.require(int(length) - overhead_bytes)
