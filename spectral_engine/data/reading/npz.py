"""`.npz` files: headers first, then arrays; never a pickle, never more than was allowed."""

from __future__ import annotations

import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from spectral_engine.data.scratch import refuse_full_disk
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
MAX_DECLARED_BYTES = 64 * 2**30
IN_MEMORY_BYTES = 2**28
COPIED_AT_ONCE = 2**22
LOCAL_HEADER = struct.Struct(
    "<26xHH"
)  # of a member of an archive: the lengths of its name and its extra field
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
    """Return the arrays of a file by name; large ones stay on disk, compressed ones in a temporary file.

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
                name.removesuffix(".npy"): _read(path, archive, archive.getinfo(name), size)
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
        shape, _, dtype = _whole_header(file)
    except HEADER_FAULTS as error:
        raise DatasetMismatch(f"{name!r} is not an array: {error}", pointer=f"#/{name}") from error
    return shape, dtype


def _whole_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, in_fortran_order, dtype = read(file)
    return shape, bool(in_fortran_order), dtype


def _read(
    path: Path | IO[bytes], archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int
) -> Array:
    with archive.open(info) as file:
        if size <= IN_MEMORY_BYTES:
            array: Array = npy.read_array(file, allow_pickle=False)
            return array
        if isinstance(path, Path) and info.compress_type == zipfile.ZIP_STORED:
            return _in_place(path, file, info)
        return _unpacked(file, size)


def _in_place(path: Path, file: IO[bytes], info: zipfile.ZipInfo) -> Array:
    """Map an array where it lies in the archive, once all of it was read and its checksum held."""
    shape, in_fortran_order, dtype = _whole_header(file)
    start = file.tell()
    while file.read(COPIED_AT_ONCE):
        pass
    with path.open("rb") as whole:
        whole.seek(info.header_offset)
        before = LOCAL_HEADER.size + sum(LOCAL_HEADER.unpack(whole.read(LOCAL_HEADER.size)))
    offset = info.header_offset + before + start
    order: Literal["F", "C"] = "F" if in_fortran_order else "C"
    return np.memmap(path, dtype, "r", offset, shape, order)


def _unpacked(file: IO[bytes], size: int) -> Array:
    """Unpack into an unnamed file and map it, so that batches read only their rows."""
    refuse_full_disk(size, "unpacked arrays")
    with tempfile.NamedTemporaryFile(suffix=".npy") as copy:
        while chunk := file.read(COPIED_AT_ONCE):
            copy.write(chunk)
        copy.flush()
        mapped: Array = np.load(copy.name, mmap_mode="r", allow_pickle=False)
    return mapped
