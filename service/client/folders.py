"""A folder as one file: packed for an upload, the same bytes for the same contents."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def packed(path: Path) -> Iterator[Path]:
    """Yield the file itself, or a temporary zip archive of a folder's files; links out of it are left out."""
    if not path.is_dir():
        yield path
        return
    root = path.resolve()
    with tempfile.TemporaryDirectory(prefix="upload-") as folder:
        archive = Path(folder) / f"{root.name}.zip"
        # Images are compressed already.
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
            for file in sorted(root.rglob("*")):
                if file.is_file() and file.resolve().is_relative_to(root):
                    _add(target, file, file.relative_to(root).as_posix())
        yield archive


def _add(target: zipfile.ZipFile, file: Path, name: str) -> None:
    info = zipfile.ZipInfo(name)  # dated 1980, so that the archive depends on the contents alone
    with file.open("rb") as source, target.open(info, "w", force_zip64=True) as held:
        shutil.copyfileobj(source, held)
