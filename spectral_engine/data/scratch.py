"""Arrays that lie in files without a name: they go with the arrays."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch
from spectral_engine.machine import free_disk_bytes

Array = NDArray[Any]


def mapped_array(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return a mapped array of zeros [shape], in the folder for temporary files."""
    with tempfile.NamedTemporaryFile(prefix="rows-") as file:
        return np.memmap(file.name, dtype, "w+", shape=shape)


def refuse_full_disk(size: int, what: str) -> None:
    """Raise DatasetMismatch where so many bytes do not go into the folder for temporary files."""
    if size > (free := free_disk_bytes()):
        raise DatasetMismatch(
            f"{what} take {size:,} bytes, and {tempfile.gettempdir()} has {free:,} left: set TMPDIR to a larger disk",
            pointer="#/file",
        )
