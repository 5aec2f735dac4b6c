"""What kind of file it is, by its first bytes: names say little, and uploaded files have none."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from spectral_engine.data.images.names import is_image
from spectral_engine.data.reading.box_archive import holds_boxes
from spectral_engine.data.reading.other_kinds import other_kind
from spectral_engine.data.reading.samples import holds_samples
from spectral_engine.data.sample_names import are_samples, are_shards
from spectral_engine.errors import DatasetMismatch

Kind = Literal[
    "npz",
    "npy",
    "parquet",
    "arrow",
    "arrow stream",
    "gzip",
    "zstd",
    "zip",
    "tar",
    "folder",
    "boxes",
    "samples",
    "shards",
    "text",
]
BEGINNINGS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x93NUMPY", "npy"),
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"FEA1", "arrow"),
    (b"\xff\xff\xff\xff", "arrow stream"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)


def kind_of(path: Path) -> Kind:
    """Return the kind of a file; raises DatasetMismatch that says what it is and what to give instead."""
    if path.is_dir():
        return _of_folder(path)
    with path.open("rb") as file:
        start = file.read(512)
    for beginning, kind in BEGINNINGS:
        if start.startswith(beginning):
            return kind
    if start.startswith(b"PK"):
        return _of_zip(path)
    if len(start) > 262 and start[257:262] == b"ustar":
        return _of_tar(path)
    if (said := other_kind(path, start)) is not None:
        raise _not_read(said)
    return "text"


def _of_folder(path: Path) -> Kind:
    names = [file.relative_to(path).as_posix() for file in path.rglob("*")]
    if are_shards([name for name in names if (path / name).is_file()]):
        return "shards"
    return _of_names(names) or "folder"


def _of_names(names: Sequence[str]) -> Kind | None:
    """Return what the files of an archive or a folder hold, where their names tell it."""
    if holds_boxes(names):
        return "boxes"
    return "samples" if holds_samples(names) and not any(map(is_image, names)) else None


def _of_tar(path: Path) -> Kind:
    try:
        with tarfile.TarFile(path) as archive:
            names = archive.getnames()
            return _of_names(names) or ("shards" if are_samples(names) else "tar")
    except (tarfile.TarError, OSError, EOFError, ValueError):
        return "tar"  # whoever reads it says what is wrong


def _of_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DatasetMismatch(
            f"the file is not a whole .npz or .zip archive: {error}", pointer="#/file"
        ) from error
    if any(name.startswith("xl/") for name in names):
        raise _not_read("a spreadsheet: save it as CSV")
    if (told := _of_names(names)) is not None:
        return told
    if any(is_image(name) for name in names):
        return "zip"
    if any(name.endswith(".npy") for name in names) or not names:
        return "npz"
    if any(name.endswith("data.pkl") for name in names):
        raise _not_read("a file of torch.save, which is never opened: save arrays with numpy.savez")
    raise _not_read("a zip archive without arrays or images")


def _not_read(said: str) -> DatasetMismatch:
    return DatasetMismatch(
        f"the file is {said}; .npz, .csv, .parquet and Arrow files and archives of images or of .npz files are read",
        pointer="#/file",
    )
