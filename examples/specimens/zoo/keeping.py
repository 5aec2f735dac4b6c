"""Exported files, kept beside this code: exporters need seconds a net, and every process asks for the same ones."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path

CACHE = Path(__file__).parent / ".cache"
EXPORTED_BY = ("torch", "onnx", "onnxscript")


def kept(name: str, make: Callable[[], bytes]) -> bytes:
    """Return a file that was made by the same code and the same exporters before, or make it."""
    path = CACHE / _state() / f"{name}.onnx"
    if path.exists():
        return path.read_bytes()
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(made)
    Path(part).replace(path)  # whole or not at all, for all processes
    return made


@cache
def _state() -> str:
    """Return a digest of all that decides what is exported."""
    digest = hashlib.sha256()
    for package in EXPORTED_BY:
        digest.update(f"{package} {version(package)};".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
