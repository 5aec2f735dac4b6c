"""`.npz` files: headers first, then arrays; never a pickle, never more than was allowed."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
MAX_DECLARED_BYTES = 64 * 2**30
IN_MEMORY_BYTES = 2 * 2**30
COPIED_AT_ONCE = 2**22
# Of numpy's reader, which takes a header for a piece of Python.
HEADER_FAULTS = (
    ValueError,
    SyntaxError,
    TypeError,
    OverflowError,
    EOFError,
    RecursionError,
    TokenError,
)


def read_npz(path: Path | IO[bytes]) -> dict[str, Array]:
    """Return the arrays of a file by name; large ones stay on disk.

    Raises DatasetMismatch, by array, for what is no array of plain numbers, lies about its size, or is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {
                info.filename: _declared_bytes(archive, info)
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
            if not sizes:
                raise DatasetMismatch("the .npz file holds no arrays", pointer="#/file")
            return {
                name.removesuffix(".npy"): _read(archive, name, size)
                for name, size in sizes.items()
            }
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error, NotImplementedError) as error:
        raise DatasetMismatch(
            f"the file is not a whole .npz archive: {error}", pointer="#/file"
        ) from error


def _declared_bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Return what an array takes in memory, by its header alone."""
    with archive.open(info) as file:
        return check_declared(file, info.filename.removesuffix(".npy"), info.file_size)


def check_declared(file: IO[bytes], name: str, file_bytes: int) -> int:
    """Return what the array in an .npy file of `file_bytes` takes; raises DatasetMismatch where that is not so."""
    shape, dtype = _header(file, name)
    header_bytes = file.tell()
    if dtype.hasobject:
        raise DatasetMismatch(
            f"{name!r} holds Python objects, which are not read: store plain numbers or strings",
            pointer=f"#/{name}",
        )
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size > MAX_DECLARED_BYTES:
        raise DatasetMismatch(
            f"{name!r} declares {size:,} bytes; at most {MAX_DECLARED_BYTES:,} are allowed",
            pointer=f"#/{name}",
        )
    if size + header_bytes != file_bytes:
        raise DatasetMismatch(
            f"{name!r} declares {size:,} bytes and holds {file_bytes - header_bytes:,}",
            pointer=f"#/{name}",
        )
    return size


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
    except HEADER_FAULTS as error:
        raise DatasetMismatch(f"{name!r} is not an array: {error}", pointer=f"#/{name}") from error
    return shape, dtype


def _read(archive: zipfile.ZipFile, member: str, size: int) -> Array:
    with archive.open(member) as file:
        if size <= IN_MEMORY_BYTES:
            array: Array = npy.read_array(file, allow_pickle=False)
            return array
        return _on_disk(file)


def _on_disk(file: IO[bytes]) -> Array:
    """Unpack into an unnamed file and map it, so that batches read only their rows."""
    with tempfile.NamedTemporaryFile(suffix=".npy") as copy:
        while chunk := file.read(COPIED_AT_ONCE):
            copy.write(chunk)
        copy.flush()
        mapped: Array = np.load(copy.name, mmap_mode="r", allow_pickle=False)
    return mapped
