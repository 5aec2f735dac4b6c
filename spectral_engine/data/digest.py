"""The digest that a report names its data by."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest(path: Path) -> str:
    """Return the sha-256 of a file; of a folder, that of the names and digests of all its files."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for inner in sorted(path.rglob("*")):
        if inner.is_file() and not inner.is_symlink():
            whole.update(f"{inner.relative_to(path).as_posix()}\0{digest(inner)}\n".encode())
    return whole.hexdigest()
