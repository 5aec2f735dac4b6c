"""A model as it came: its bytes, or the path of a file beside which its weights lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from spectral_engine.onnx_io.external import external_files
from spectral_engine.onnx_io.load import parse_model
from spectral_engine.onnx_io.weights_apart import split_weights

Source = bytes | Path


def as_source(model: str | Path | bytes) -> Source:
    """Return a model by its bytes where it came so, else by its path: files are not held in memory."""
    return model if isinstance(model, bytes) else Path(model)


def source_sha256(source: Source) -> str:
    """Return the digest of the model file itself."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_bytes(source: Source) -> int:
    """Return the bytes on disk, external data included."""
    if isinstance(source, bytes):
        return len(source)
    return files_bytes(source_files(source))


def files_bytes(files: Iterable[Path]) -> int:
    """Return the bytes of all these files together."""
    return sum(file.stat().st_size for file in files)


def source_files(path: Path) -> set[Path]:
    """Return a model file and the files of its external data. Raises ModelInvalid."""
    apart = split_weights(path) if path.stat().st_size > 0 else None
    proto = parse_model(path if apart is None else apart[0])
    return {path, *external_files(proto, path.parent)}
