"""Files under the SHA-256 of their bytes, in a folder or in an S3 bucket."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

from service.errors import DigestMismatch
from service.store.tenancy import DEFAULT_TENANT, require_tenant

CHUNK_BYTES = 1 << 20
PARTS = "parts"


class ArtifactStore:
    """Content-addressed files. What is stored is whole and never changes.

    `url` is `file:///a/folder` or `s3://bucket/prefix` (credentials and endpoint from `AWS_…` variables).
    """

    def __init__(self, url: str) -> None:
        self._below = ""
        self.root = _local_root(url)
        if self.root is None:
            self._store: ObjectStore = from_url(url)
            self._parts = Path(tempfile.gettempdir())
        else:
            # A rename is only atomic within one filesystem, so parts lie beside what is whole.
            self._parts = self.root / PARTS
            self._parts.mkdir(parents=True, exist_ok=True)
            self._store = LocalStore(self.root)

    def of(self, tenant: str) -> ArtifactStore:
        """Return the files of one tenant, which lie below a name of its own.

        What two tenants bring is stored twice: that bytes are known already would tell one what the other has.
        """
        of_tenant = copy(self)
        of_tenant._below = "" if tenant == DEFAULT_TENANT else f"tenants/{require_tenant(tenant)}/"
        return of_tenant

    def writer(self) -> ArtifactWriter:
        """Return a context that takes bytes; without its `finish()` nothing stays behind."""
        return ArtifactWriter(self, self._parts)

    def put_file(self, path: Path) -> tuple[str, int]:
        """Store a file's bytes; return their SHA-256 and how many they are."""
        with path.open("rb") as source, self.writer() as writer:
            while chunk := source.read(CHUNK_BYTES):
                writer.write(chunk)
            writer.finish()
        return writer.sha256, writer.size_bytes

    def put_bytes(self, content: bytes) -> tuple[str, int]:
        """Store bytes; return their SHA-256 and how many they are."""
        with self.writer() as writer:
            writer.write(content)
            writer.finish()
        return writer.sha256, writer.size_bytes

    def exists(self, sha256: str) -> bool:
        """Say whether these bytes are stored."""
        try:
            obstore.head(self._store, self._key(sha256))
        except FileNotFoundError:
            return False
        return True

    def size(self, sha256: str) -> int:
        """Return the number of bytes. Raises FileNotFoundError."""
        return obstore.head(self._store, self._key(sha256))["size"]

    def open(self, sha256: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` up to, not including, `stop`. Raises FileNotFoundError."""
        end = self.size(sha256) if stop is None else stop
        if start >= end:
            return
        answer = obstore.get(self._store, self._key(sha256), options={"range": (start, end)})
        for chunk in answer.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(chunk)

    def copy_to(self, sha256: str, path: Path) -> Path:
        """Write the bytes to `path`, never as a link; return it.

        Raises FileNotFoundError, and DigestMismatch when the store has been damaged.
        """
        digest = hashlib.sha256()
        with path.open("wb") as target:
            for chunk in self.open(sha256):
                digest.update(chunk)
                target.write(chunk)
        if digest.hexdigest() != sha256:
            path.unlink()
            raise DigestMismatch(f"The artifact {sha256} is damaged.")
        return path

    def _key(self, sha256: str) -> str:
        return self._below + key_of(sha256)

    def adopt(self, part: Path, sha256: str) -> None:
        """Make a finished local file the artifact `sha256`; the file is gone afterwards."""
        if self.exists(sha256):
            part.unlink()
        elif self.root is None:
            obstore.put(self._store, self._key(sha256), part)
            part.unlink()
        else:
            target = self.root / self._key(sha256)
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
            _sync_folder(target.parent)


class ArtifactWriter:
    """Bytes on their way into the store, hashed as they come."""

    def __init__(self, store: ArtifactStore, folder: Path) -> None:
        self._store = store
        self._digest = hashlib.sha256()
        descriptor, name = tempfile.mkstemp(suffix=".part", dir=folder)
        self._part = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """SHA-256, in hex, of what was written so far."""
        return self._digest.hexdigest()

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take more bytes."""
        self._digest.update(chunk)
        self._file.write(chunk)
        self.size_bytes += len(chunk)

    def finish(self, expected_sha256: str | None = None) -> str:
        """Store what was written; return its SHA-256. Raises DigestMismatch, and then stores nothing."""
        if expected_sha256 is not None and expected_sha256 != self.sha256:
            raise DigestMismatch(f"{expected_sha256} was announced, but {self.sha256} arrived.")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._store.adopt(self._part, self.sha256)
        return self.sha256

    def __enter__(self) -> ArtifactWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)


def key_of(sha256: str) -> str:
    """Return where an artifact lies below its tenant's root; that of the tenant `default` is the store's."""
    return f"sha256/{sha256[:2]}/{sha256}"


def _local_root(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _sync_folder(folder: Path) -> None:
    # The rename itself must outlast a power cut, too.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
