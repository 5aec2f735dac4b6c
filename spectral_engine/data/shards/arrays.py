"""Samples that are arrays: `.npy`, or `NAME.npy` for several inputs, laid into one array of all."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from spectral_engine.data.images.names import pointer_to
from spectral_engine.data.reading.npz import MAX_DECLARED_BYTES, check_declared
from spectral_engine.data.row_source import is_large
from spectral_engine.data.sample_names import is_array
from spectral_engine.data.scratch import mapped_array, refuse_full_disk
from spectral_engine.data.shards.index import Samples, refuse_incomplete
from spectral_engine.data.shards.labels import labels_of
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]


def arrays_of(samples: Samples, label: str | None, notes: list[str]) -> dict[str, Array]:
    """Return arrays as one `.npz` with all samples would hold them, parts apart; raises DatasetMismatch by sample."""
    arrays = {
        kind.rpartition(".")[0] or "x": _laid(samples, kind)
        for kind in samples.kinds
        if is_array(kind)
    }
    if "y" not in arrays and (labels := labels_of(samples, label, notes)) is not None:
        notes.append(f"labels are {labels[0]!r} of each sample")
        arrays["y"] = labels[1]
    parts = np.asarray(samples.parts())
    if not parts[0]:
        return arrays
    return {
        f"{name}_{part}": _rows(array, np.flatnonzero(parts == part))
        for name, array in arrays.items()
        for part in dict.fromkeys(parts.tolist())
    }


def _rows(array: Array, rows: NDArray[np.int64]) -> Array:
    """Return rows of one part: neighbours as they lie, without a copy."""
    first, last = int(rows[0]), int(rows[-1])
    return array[first : last + 1] if last - first + 1 == len(rows) else array[rows]


def _laid(samples: Samples, kind: str) -> Array:
    """Return the arrays of one kind [samples, …]: in memory, or on disk where they are large."""
    refuse_incomplete(samples, samples.having(kind), f".{kind}")
    first = _array(samples, 0, kind)
    size = len(samples) * first.nbytes
    if size > MAX_DECLARED_BYTES:
        raise DatasetMismatch(
            f"the .{kind} of all samples hold {size:,} bytes; at most {MAX_DECLARED_BYTES:,} are allowed",
            pointer="#/file",
        )
    shape = (len(samples), *first.shape)
    if is_large(size):
        refuse_full_disk(size, f"the .{kind} of all samples")
        laid = mapped_array(shape, first.dtype)
    else:
        laid = np.empty(shape, first.dtype)
    for row in range(len(samples)):
        one = _array(samples, row, kind)
        if (one.shape, one.dtype) != (first.shape, first.dtype):
            name = f"{samples.names[row]}.{kind}"
            raise DatasetMismatch(
                f"{name!r} (row {row}) holds {one.dtype} {list(one.shape)}, and the first sample {first.dtype} "
                f"{list(first.shape)}: give all the same",
                pointer=pointer_to(name),
            )
        laid[row] = one
    return laid


def _array(samples: Samples, row: int, kind: str) -> Array:
    content, name = samples.read(row, kind), f"{samples.names[row]}.{kind}"
    check_declared(BytesIO(content), name, len(content))
    array: Array = npy.read_array(BytesIO(content), allow_pickle=False)
    return array
