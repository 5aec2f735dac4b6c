"""What a data set is known by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from spectral_engine.data.images.container import walked
from spectral_engine.errors import DatasetMismatch


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or one over the names and contents of all files in a folder."""
    if not path.is_dir():
        return _of_file(path).hex()
    digest = hashlib.sha256()
    for member in sorted(walked(path), key=lambda member: member.name):
        if not member.is_folder:
            digest.update(f"{member.name}\0{member.size}\0".encode())
            digest.update(_of_file(path / member.name))
    return digest.hexdigest()


def joined_digest(digest: str, beside: Iterable[Path]) -> str:
    """Return the SHA-256 of a data set of which some lies in further files, in the order in which they are read."""
    digests = [bytes.fromhex(digest), *map(_of_file, beside)]
    return digest if len(digests) == 1 else hashlib.sha256(b"".join(digests)).hexdigest()


def _of_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DatasetMismatch(f"{path.name!r} cannot be read: {error}", pointer="#/file") from error
