"""Files of a folder, a zip or a tar archive, read one by one; nothing is ever written where an archive says."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from spectral_engine.errors import DatasetMismatch

ENDINGS = {
    ".jpg",
    ".jpeg",
    ".jfif",
    ".png",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
}
MOST_FILES = 2_000_000
MOST_FILE_BYTES = 256 * 2**20
LEFT_BEHIND = {"__MACOSX", "Thumbs.db", "desktop.ini"}  # by operating systems, in every folder


class Files(Protocol):
    """Files by name, with `/` between folders."""

    def names(self) -> list[str]:
        """Return the names of all plain files."""

    def read(self, name: str) -> bytes:
        """Return a file's bytes; raises DatasetMismatch that names it."""


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        found = (path for path in self._root.rglob("*") if path.is_file())
        return [path.relative_to(self._root).as_posix() for path in found]

    def read(self, name: str) -> bytes:
        path = self._root / name
        _refuse_large(name, path.stat().st_size)
        return path.read_bytes()


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def names(self) -> list[str]:
        return [info.filename for info in self._archive.infolist() if not info.is_dir()]

    def read(self, name: str) -> bytes:
        _refuse_large(name, self._archive.getinfo(name).file_size)
        try:
            return self._archive.read(name)
        except (
            zipfile.BadZipFile,
            OSError,
            EOFError,
            ValueError,
            RuntimeError,
            NotImplementedError,
        ) as error:
            raise broken(name, error) from error


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        # Links are no files: what they point to may lie anywhere.
        self._members = {member.name: member for member in archive.getmembers() if member.isreg()}
        self._archive = archive

    def names(self) -> list[str]:
        return list(self._members)

    def read(self, name: str) -> bytes:
        member = self._members[name]
        _refuse_large(name, member.size)
        try:
            file = self._archive.extractfile(member)
            return b"" if file is None else file.read()
        except (tarfile.TarError, OSError, EOFError) as error:
            raise broken(name, error) from error


@contextmanager
def opened(path: Path) -> Iterator[Files]:
    """Open a folder, a zip or a tar archive; raises DatasetMismatch where it is not whole."""
    if path.is_dir():
        yield _Folder(path)
        return
    try:
        whole = zipfile.ZipFile(path) if zipfile.is_zipfile(path) else tarfile.TarFile(path)
    except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise _not_whole(error) from error
    with whole as archive:
        try:
            files: Files = _Zip(archive) if isinstance(archive, zipfile.ZipFile) else _Tar(archive)
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            raise _not_whole(error) from error
        yield files


def holds_images(path: Path) -> bool:
    """Say whether a folder or an archive has an image in it."""
    with opened(path) as files:
        return any(is_image(name) for name in files.names())


def is_image(name: str) -> bool:
    """Say whether a name is that of an image, and not of what an operating system left behind."""
    return PurePosixPath(name).suffix.lower() in ENDINGS and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Say whether a file was left behind by an operating system or a tool."""
    return any(part in LEFT_BEHIND or part.startswith(".") for part in PurePosixPath(name).parts)


def checked_names(files: Files) -> list[str]:
    """Return all names that count, sorted; raises DatasetMismatch where they are too many, or one leads out."""
    names = files.names()
    if len(names) > MOST_FILES:
        raise DatasetMismatch(
            f"the data hold {len(names):,} files; at most {MOST_FILES:,} are read", pointer="#/file"
        )
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise DatasetMismatch(f"{shown(name)} leads out of the archive", pointer="#/file")
    return sorted(name for name in names if not is_hidden(name))


def broken(name: str, error: Exception | str) -> DatasetMismatch:
    """Return the error for a file that cannot be read."""
    reason = shown(" ".join(str(error).split())[:200])
    return DatasetMismatch(f"{shown(name)} cannot be read: {reason}", pointer="#/file")


def shown(text: str) -> str:
    """Return a text with what a terminal would act on made visible."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _refuse_large(name: str, size: int) -> None:
    if size > MOST_FILE_BYTES:
        raise DatasetMismatch(
            f"{shown(name)} has {size:,} bytes; at most {MOST_FILE_BYTES:,} are read",
            pointer="#/file",
        )


def _not_whole(error: Exception) -> DatasetMismatch:
    reason = shown(" ".join(str(error).split())[:200])
    return DatasetMismatch(f"the archive is not whole: {reason}", pointer="#/file")
