"""`.npz` files: headers first, then arrays; never a pickle, never more than was allowed."""

from __future__ import annotations

import struct
import tempfile
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from spectral_engine.data.allowance import Allowance, most_in_memory
from spectral_engine.data.scratch import refuse_full_disk
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
MAX_DECLARED_BYTES = 64 * 2**30
MOST_HEADER_BYTES = 2**16
MOST_AXES = 32
LENGTHS = {
    (1, 0): struct.Struct("<H"),
    (2, 0): struct.Struct("<I"),
    (3, 0): struct.Struct("<I"),
}  # of headers
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
    struct.error,
)


def read_npz(path: Path | IO[bytes]) -> dict[str, Array]:
    """Return the arrays of a file by name; large ones stay on disk, compressed ones in a temporary file.

    Raises DatasetMismatch, by array, for what is no array of plain numbers, lies about its size, or is too large.
    """
    allowed = Allowance.of_file(path) if isinstance(path, Path) else Allowance(most_in_memory())
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = _sizes(archive, allowed)
            if not sizes:
                raise DatasetMismatch("the .npz file holds no arrays", pointer="#/file")
            arrays, in_memory_bytes = {}, 0
            for name, size in sizes.items():
                # Many small arrays are as much as a large one: what goes beyond lies on disk as that does.
                in_memory = in_memory_bytes + size <= IN_MEMORY_BYTES or not isinstance(path, Path)
                in_memory_bytes += size if in_memory else 0
                info = archive.getinfo(name)
                arrays[name.removesuffix(".npy")] = _read(path, archive, info, size, in_memory)
            return arrays
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error, NotImplementedError) as error:
        raise DatasetMismatch(
            f"the file is not a whole .npz archive: {error}", pointer="#/file"
        ) from error


def _sizes(archive: zipfile.ZipFile, allowed: Allowance) -> dict[str, int]:
    """Return what each array takes; raises DatasetMismatch at the first with which all take too much."""
    sizes = {}
    for info in archive.infolist():
        if info.filename.endswith(".npy"):
            size = sizes[info.filename] = _declared_bytes(archive, info)
            name = info.filename.removesuffix(".npy")
            allowed.take(size, f"array {name!r}", f"#/{name}")
    return sizes


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
    count = int(np.prod(shape, dtype=object))
    _refuse_no_shape(shape, dtype, count, name)
    size = count * dtype.itemsize
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


def _refuse_no_shape(shape: tuple[int, ...], dtype: np.dtype[Any], count: int, name: str) -> None:
    """Raise DatasetMismatch for lengths that no array has, and for numbers of no bytes, of which any file holds any."""
    whole = all(type(length) is int and length >= 0 for length in shape)
    if not whole or len(shape) > MOST_AXES or (dtype.itemsize == 0 and count > 0):
        raise DatasetMismatch(
            f"{name!r} declares no array of numbers: shape {str(shape)[:100]}, type {dtype.str}",
            pointer=f"#/{name}",
        )


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        shape, _, dtype = _whole_header(file)
    except HEADER_FAULTS as error:
        raise DatasetMismatch(f"{name!r} is not an array: {error}", pointer=f"#/{name}") from error
    return shape, dtype


def _whole_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    if version not in LENGTHS:
        raise ValueError(f"version {version} of the format is not known")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    # Read here, since numpy reads a header of any length before it refuses it.
    length = file.read(LENGTHS[version].size)
    declared = LENGTHS[version].unpack(length)[0] if len(length) == LENGTHS[version].size else 0
    if declared > MOST_HEADER_BYTES:
        raise ValueError(f"a header of {declared:,} bytes")
    shape, in_fortran_order, dtype = read(BytesIO(length + file.read(declared)))
    return shape, bool(in_fortran_order), dtype


def _read(
    path: Path | IO[bytes],
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    size: int,
    in_memory: bool,
) -> Array:
    try:
        with archive.open(info) as file:
            if in_memory or size == 0:
                array: Array = npy.read_array(file, allow_pickle=False)
                return array
            if isinstance(path, Path) and info.compress_type == zipfile.ZIP_STORED:
                return _in_place(path, file, info)
            return _unpacked(file, size)
    except HEADER_FAULTS as error:  # an archive that holds other bytes than its directory says
        name = info.filename.removesuffix(".npy")
        raise DatasetMismatch(f"{name!r} is not whole: {error}", pointer=f"#/{name}") from error


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
