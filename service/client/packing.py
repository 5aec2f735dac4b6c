"""A folder of images as one file to upload."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.client.errors import ClientError

LEFT_BY_SYSTEMS = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir"})
FIRST_DAY = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # of a .zip: the same folder makes the same bytes whenever it is packed


@contextmanager
def as_one_file(path: Path) -> Iterator[Path]:
    """Yield a file itself, or a temporary `.zip` of what lies in a folder, hidden files left out.

    Raises ClientError where there is nothing in it.
    """
    if not path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="upload-") as scratch:
        packed = Path(scratch) / "folder.zip"
        _pack(path, packed)
        yield packed


def _pack(folder: Path, packed: Path) -> None:
    files = list(_files(folder))
    if not files:
        raise ClientError(f"there are no files in {folder}")
    # Images are compressed already.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix(), FIRST_DAY)
            info.file_size = file.stat().st_size
            with file.open("rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _files(folder: Path) -> Iterator[Path]:
    """Yield files in the order of their names; links are followed, each folder once."""
    waiting, seen = [folder], set[Path]()
    files = []
    while waiting:
        inner = waiting.pop()
        if inner.resolve() in seen:
            continue
        seen.add(inner.resolve())
        for entry in inner.iterdir():
            if entry.name.startswith(".") or entry.name.lower() in LEFT_BY_SYSTEMS:
                continue
            if entry.is_dir():
                waiting.append(entry)
            elif entry.is_file():
                files.append(entry)
    yield from sorted(files)
