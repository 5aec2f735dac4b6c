"""Files up and down: streamed, and checked by SHA-256."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx2

from service.client.errors import ClientError, DigestError
from service.client.transport import Transport

CHUNK_BYTES = 1 << 20
OnBytes = Callable[[int, int], None]


def upload(
    transport: Transport,
    path: str,
    file: Path,
    fields: Mapping[str, str | None],
    on_bytes: OnBytes | None = None,
    external: Sequence[Path] = (),
) -> httpx2.Response:
    """Send a file as raw bytes, or several as a form; a failed attempt is repeated under the same key.

    `on_bytes(sent, total)` is told how far it is.
    """
    pieces: list[bytes | Path] = [file]
    content_type = "application/octet-stream"
    if external:
        boundary = uuid.uuid4().hex
        pieces = _form(boundary, [("file", file), *(("external", one) for one in external)])
        content_type = f"multipart/form-data; boundary={boundary}"
    headers = {
        "Content-Type": content_type,
        "Content-Length": str(sum(_length(piece) for piece in pieces)),
        "Repr-Digest": f"sha-256=:{_sha256(file)}:",
        "Idempotency-Key": str(uuid.uuid4()),
    }
    given = {name: value for name, value in fields.items() if value is not None}

    def body() -> Iterator[bytes]:
        return _chunks(pieces, on_bytes)

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


def beside(path: Path, name: str) -> Path:
    """Return where a file of a model's external data goes. Raises ClientError for a name that is no plain one."""
    if name in {"", ".", "..", path.name} or "/" in name or "\\" in name:
        raise ClientError(f"the external data {name!r} cannot lie beside {path}")
    return path.with_name(name)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").digest()
    return base64.b64encode(digest).decode("ascii")


def _form(boundary: str, files: Sequence[tuple[str, Path]]) -> list[bytes | Path]:
    """Return a multipart form as pieces: texts, and files that are read when they are sent."""
    pieces: list[bytes | Path] = []
    for field, file in files:
        name = file.name.replace("\\", "_").replace('"', "_")
        head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n"
            f"Content-Digest: sha-256=:{_sha256(file)}:\r\n\r\n"
        )
        pieces += [head.encode(), file, b"\r\n"]
    return [*pieces, f"--{boundary}--\r\n".encode()]


def _length(piece: bytes | Path) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.stat().st_size


def _chunks(pieces: Sequence[bytes | Path], on_bytes: OnBytes | None) -> Iterator[bytes]:
    sent, total = 0, sum(_length(piece) for piece in pieces)
    for piece in pieces:
        for chunk in [piece] if isinstance(piece, bytes) else _read(piece):
            yield chunk
            sent += len(chunk)
            if on_bytes:
                on_bytes(sent, total)


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk
