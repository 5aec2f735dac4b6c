"""Files up and down: streamed, and checked by SHA-256."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx2

from service.client.errors import DigestError
from service.client.transport import Transport

CHUNK_BYTES = 1 << 20
OnBytes = Callable[[int, int], None]


def upload(
    transport: Transport,
    path: str,
    file: Path,
    fields: Mapping[str, str | None],
    on_bytes: OnBytes | None = None,
) -> httpx2.Response:
    """Send a file as raw bytes; a failed attempt is repeated under the same key.

    `on_bytes(sent, total)` is told how far it is.
    """
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(file.stat().st_size),
        "Repr-Digest": f"sha-256=:{base64.b64encode(_sha256(file)).decode('ascii')}:",
        "Idempotency-Key": str(uuid.uuid4()),
    }
    given = {name: value for name, value in fields.items() if value is not None}

    def body() -> Iterator[bytes]:
        return _chunks(file, on_bytes)

    return transport.request("POST", path, params=given, headers=headers, body=body)


def download(transport: Transport, path: str, to: Path, **options: object) -> Path:
    """Write an answer to `to`, which appears only when it is whole.

    Raises DigestError when the bytes are not those that `Repr-Digest` announces.
    """
    part = to.with_name(to.name + ".part")
    digest = hashlib.sha256()
    try:
        with transport.stream(path, **options) as answer, part.open("wb") as out:
            for chunk in answer.iter_bytes(CHUNK_BYTES):
                digest.update(chunk)
                out.write(chunk)
        expected = answer.headers.get("repr-digest")
        actual = f"sha-256=:{base64.b64encode(digest.digest()).decode('ascii')}:"
        if expected and expected != actual:
            raise DigestError(f"{path}: {actual} arrived, {expected} was announced")
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    return to


def _sha256(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


def _chunks(file: Path, on_bytes: OnBytes | None) -> Iterator[bytes]:
    sent, total = 0, file.stat().st_size
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk
            sent += len(chunk)
            if on_bytes:
                on_bytes(sent, total)
