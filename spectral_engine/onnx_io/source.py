"""A model as it came: its bytes, or the path of a file beside which its weights lie."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx

from spectral_engine.onnx_io.external import external_files, external_tensors

Source = bytes | Path


def read_source(model: str | Path | bytes) -> Source:
    """Return the bytes of a model in one file; the path of one with external data, which bytes would lose."""
    if isinstance(model, bytes):
        return model
    path = Path(model)
    content = path.read_bytes()
    return path if external_tensors(onnx.load_from_string(content)) else content


def source_sha256(source: Source) -> str:
    """Return the digest of the model file itself."""
    content = source if isinstance(source, bytes) else source.read_bytes()
    return hashlib.sha256(content).hexdigest()


def source_bytes(source: Source) -> int:
    """Return the bytes on disk, external data included."""
    if isinstance(source, bytes):
        return len(source)
    files = external_files(onnx.load(source, load_external_data=False), source.parent)
    return sum(file.stat().st_size for file in {source, *files})
