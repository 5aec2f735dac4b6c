"""What holds the images: a folder, a `.zip` or a `.tar`. Members are read one by one, and never written anywhere."""

from __future__ import annotations

import stat
import tarfile
import threading
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from spectral_engine.data.allowance import Allowance, most_allowed
from spectral_engine.data.images.names import plain_name, pointer_to
from spectral_engine.errors import DatasetMismatch

MOST_MEMBERS = 1_000_000
MOST_MEMBER_BYTES = 256 * 2**20
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, OSError, EOFError, ValueError, KeyError, IndexError,
    OverflowError, NotImplementedError, RuntimeError,
)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A file or a folder: its name with `/` between folders, and its size in bytes."""

    name: str
    size: int
    is_folder: bool = False


class Container(ABC):
    """Files by name. `read` may be called by several threads."""

    stays = False  # whether it can be read from after it was closed

    def __init__(self, members: Iterable[Member]) -> None:
        self.folders: list[str] = []
        self.sizes: dict[str, int] = {}
        allowed = Allowance(most_allowed())
        for count, member in enumerate(members):
            if count >= MOST_MEMBERS:
                raise DatasetMismatch(
                    f"there are more than {MOST_MEMBERS:,} files", pointer="#/file"
                )
            allowed.take(member.size, repr(member.name), pointer_to(member.name))
            self._keep(member)

    def _keep(self, member: Member) -> None:
        if member.is_folder:
            self.folders.append(member.name)
            return
        if member.name in self.sizes:
            raise DatasetMismatch(
                f"{member.name!r} stands twice in the archive", pointer=pointer_to(member.name)
            )
        self.sizes[member.name] = member.size

    def read(self, name: str) -> bytes:
        """Return what a file holds; raises DatasetMismatch for one that is too large or damaged."""
        if self.sizes[name] > MOST_MEMBER_BYTES:
            raise DatasetMismatch(
                f"{name!r} holds {self.sizes[name]:,} bytes; at most {MOST_MEMBER_BYTES:,} are allowed",
                pointer=pointer_to(name),
            )
        try:
            with self._open(name) as file:
                content = file.read(MOST_MEMBER_BYTES + 1)
        except DAMAGE as error:
            raise DatasetMismatch(
                f"{name!r} is damaged: {error}", pointer=pointer_to(name)
            ) from error
        if len(content) != self.sizes[name]:
            raise DatasetMismatch(f"{name!r} is cut short", pointer=pointer_to(name))
        return content

    @abstractmethod
    def _open(self, name: str) -> IO[bytes]:
        """Open one file for reading."""


class FolderOfFiles(Container):
    """A folder on this machine. Links are followed: whoever names the folder may read what they lead to."""

    stays = True

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__(walked(path))

    def _open(self, name: str) -> IO[bytes]:
        return (self._path / name).open("rb")


class ZipOfFiles(Container):
    """A `.zip`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._written: dict[str, zipfile.ZipInfo] = {}
        super().__init__(self._members())

    def _members(self) -> Iterator[Member]:
        for info in self._archive.infolist():
            name = plain_name(info.filename)
            if stat.S_ISLNK(info.external_attr >> 16):
                raise _no_file(name, "a link")
            if info.flag_bits & 1:
                raise _no_file(name, "encrypted")
            self._written[name] = info
            yield Member(name, info.file_size, info.is_dir() or info.filename.endswith("\\"))

    def _open(self, name: str) -> IO[bytes]:
        return self._archive.open(self._written[name])


class TarOfFiles(Container):
    """A `.tar`, already uncompressed."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._written: dict[str, tarfile.TarInfo] = {}
        self._lock = threading.Lock()
        super().__init__(self._members())

    def _members(self) -> Iterator[Member]:
        for name, info in tar_members(self._archive):
            self._written[name] = info
            yield Member(name, info.size, info.isdir())

    def read(self, name: str) -> bytes:
        """Return what a file holds: one thread at a time, since all members share one position."""
        with self._lock:
            return super().read(name)

    def _open(self, name: str) -> IO[bytes]:
        file = self._archive.extractfile(self._written[name])
        assert file is not None  # folders and links are not among the files
        return file


@contextmanager
def opened(path: Path, kind: str) -> Iterator[Container]:
    """Open a `folder`, `zip` or `tar`; raises DatasetMismatch, by name, for what does not belong into one."""
    if kind == "folder":
        yield FolderOfFiles(path)
        return
    try:
        # Closed below, whichever of both it is.
        archive = zipfile.ZipFile(path) if kind == "zip" else tarfile.open(path, "r:")  # noqa: SIM115
    except DAMAGE as error:
        raise _not_whole(kind, error) from error
    with archive:
        try:
            container = (
                ZipOfFiles(archive) if isinstance(archive, zipfile.ZipFile) else TarOfFiles(archive)
            )
        except DAMAGE as error:
            raise _not_whole(kind, error) from error
        yield container


def tar_members(archive: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Yield the files and folders of a `.tar` with their names.

    Raises DatasetMismatch, by name, for paths that lead out of it, links and devices; ReadError where it is damaged.
    """
    for info in archive:
        name = plain_name(info.name)
        if info.issym() or info.islnk():
            raise _no_file(name, "a link")
        if not (info.isreg() or info.isdir()):
            raise _no_file(name, "no plain file")
        yield name, info
    # tarfile takes a header that it cannot read for the end.
    assert archive.fileobj is not None
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError(f"there is no header at byte {archive.offset:,}")


def walked(path: Path) -> Iterator[Member]:
    """Yield what lies in a folder and the folders in it; links are followed, each folder once."""
    waiting, seen = [path], set[Path]()
    while waiting:
        folder = waiting.pop()
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        try:
            for entry in sorted(folder.iterdir()):
                name = plain_name(entry.relative_to(path).as_posix())
                if entry.is_dir():
                    waiting.append(entry)
                    yield Member(name, 0, is_folder=True)
                elif entry.is_file():
                    yield Member(name, entry.stat().st_size)
        except OSError as error:
            raise DatasetMismatch(
                f"the folder cannot be read: {error}", pointer="#/file"
            ) from error


def _not_whole(kind: str, error: Exception) -> DatasetMismatch:
    return DatasetMismatch(f"the file is not a whole .{kind} archive: {error}", pointer="#/file")


def _no_file(name: str, what: str) -> DatasetMismatch:
    return DatasetMismatch(
        f"the archive holds {name!r}, which is {what}: pack plain files", pointer=pointer_to(name)
    )
