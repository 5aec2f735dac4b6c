"""What a URL names, as a file or a folder on this machine."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from spectral_engine.errors import DatasetMismatch, EngineError, ModelInvalid
from spectral_engine.remote.addresses import check_plain, each_of, file_name, is_remote, shown
from spectral_engine.remote.allowed import Allowed
from spectral_engine.remote.answer import Unavailable
from spectral_engine.remote.copying import copy
from spectral_engine.remote.https import HttpsFile
from spectral_engine.remote.s3 import keys_below, s3_file

MOST_BYTES = 64 * 2**30  # of all that one URL names
MOST_OBJECTS = 1_000_000
COPIES = "copies"
Field = Literal["data", "model"]


@contextmanager
def on_this_machine(given: Any, field: Field, work_dir: Path | None = None) -> Iterator[Any]:
    """Yield what was given, and of a URL the path of a copy: in `work_dir`, where it stays, or in a folder that goes.

    Raises InvalidRequest where the URL may not be read, DatasetMismatch or ModelInvalid where it cannot be.
    """
    if not is_remote(given):
        yield given
        return
    check_plain(given, field)
    with ExitStack() as stack:
        folder = work_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="copy-")))
        yield _copied(given, folder / COPIES / _digest(given), field, Allowed.by_environment())


def _copied(url: str, folder: Path, field: Field, allowed: Allowed) -> Path:
    urls = each_of(url, field)
    for one in urls:
        allowed.check(one, field)
    folder.mkdir(parents=True, exist_ok=True)
    if url.endswith("/") and url.startswith("s3:"):
        return _folder_copied(url, folder, field)
    left = MOST_BYTES
    names = _names(urls)
    for one, name in zip(urls, names, strict=True):
        left -= _one(one, folder / name, left, field, allowed)
    return folder if len(urls) > 1 else folder / names[0]


def _names(urls: Sequence[str]) -> list[str]:
    """Return under which names files are copied: their own, and numbered where these are alike."""
    names = [file_name(url) for url in urls]
    if len(set(names)) == len(names):
        return names
    return [f"{number:05}-{name}" for number, name in enumerate(names)]


def _folder_copied(url: str, folder: Path, field: Field) -> Path:
    """Copy all objects below a prefix into a folder; their names are kept."""
    left, count = MOST_BYTES, 0
    try:
        for name, size in keys_below(url):
            count += 1
            if size > left or count > MOST_OBJECTS:
                raise Unavailable(
                    f"holds more than {MOST_BYTES:,} bytes or {MOST_OBJECTS:,} files", passing=False
                )
            left -= _object(url, name, folder, left, field)
    except Unavailable as error:
        raise _failed(url, error, field) from error
    if not count:
        raise _failed(url, Unavailable("holds no files", passing=False), field)
    return folder


def _object(url: str, name: str, folder: Path, most: int, field: Field) -> int:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or {"..", "\\"} & {*path.parts, *name}:
        raise Unavailable(f"holds {name!r}, which leads out of it", passing=False)
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    return copy(s3_file(url + name, field), target, most)


def _one(url: str, target: Path, most: int, field: Field, allowed: Allowed) -> int:
    in_bucket = url.lower().startswith("s3:")
    try:
        file = s3_file(url, field) if in_bucket else HttpsFile(url, allowed, field)
        return copy(file, target, most)
    except Unavailable as error:
        raise _failed(url, error, field) from error


def _failed(url: str, why: Unavailable, field: Field) -> EngineError:
    said = f"{shown(url)} {why}"
    if field == "model":
        return ModelInvalid(said, pointer="#/model")
    return DatasetMismatch(said, pointer="#/data")


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]
