"""The files of a zip or tar archive, or of a folder: named, sized, and read whole under a limit."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from spectral_engine.errors import DatasetMismatch

MOST_MEMBERS = 1_000_000
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Members:
    """Files by name, with `/` between folders, and their sizes; `open_one` opens one of them to read bytes."""

    sizes: Mapping[str, int]
    open_one: Callable[[str], IO[bytes]]

    def read(self, name: str, most: int) -> bytes:
        """Return all bytes of a file; raises DatasetMismatch where there are more than `most`, or it is not whole."""
        if self.sizes[name] > most:
            raise DatasetMismatch(
                f"{name!r} holds {self.sizes[name]:,} bytes; at most {most:,} are read",
                pointer="#/file",
            )
        try:
            with self.open_one(name) as file:
                return file.read(most + 1)[:most]
        except DAMAGE as error:
            raise DatasetMismatch(f"{name!r} is not whole: {error}", pointer="#/file") from error
        except RuntimeError as error:  # as zipfile calls a password that is missing
            raise DatasetMismatch(f"{name!r} cannot be read: {error}", pointer="#/file") from error


@contextmanager
def members_of(path: Path) -> Iterator[Members]:
    """Yield the files of a folder, a zip or a tar archive; what is hidden, and links, are left out."""
    if path.is_dir():
        files = {
            file.relative_to(path).as_posix(): file
            for file in sorted(path.rglob("*"))
            if file.is_file() and not file.is_symlink()
        }
        sizes = {name: file.stat().st_size for name, file in files.items() if _is_plain(name)}
        yield Members(_few(sizes), lambda name: files[name].open("rb"))
        return
    if tarfile.is_tarfile(path):
        with tarfile.TarFile(path) as packed:
            regular_files = {info.name.removeprefix("./"): info for info in packed if info.isreg()}
            sizes = {name: info.size for name, info in regular_files.items() if _is_plain(name)}
            yield Members(_few(sizes), lambda name: _opened(packed, regular_files[name]))
        return
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        sizes = {info.filename: info.file_size for info in infos if _is_plain(info.filename)}
        yield Members(_few(sizes), archive.open)


def _opened(packed: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = packed.extractfile(info)
    assert file is not None  # a regular file
    return file


def _is_plain(name: str) -> bool:
    """Leave out what systems put into archives by themselves."""
    return not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _few(sizes: dict[str, int]) -> dict[str, int]:
    if len(sizes) > MOST_MEMBERS:
        raise DatasetMismatch(
            f"the archive holds {len(sizes):,} files; at most {MOST_MEMBERS:,} are read",
            pointer="#/file",
        )
    return sizes
