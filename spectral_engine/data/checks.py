"""Arrays against what the model takes: fitted where that is safe, refused by name where it is not."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.row_source import MappedRows, RowSource, in_chunks, is_large
from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
CHECKED_ROWS = 65_536  # looked at together when searching for NaN


def fit(
    array: Array, spec: InputSpec, field: str, preprocessing: Preprocessing | None, notes: list[str]
) -> RowSource:
    """Return an array in the model's type and shape; raises DatasetMismatch at `#/field`.

    A large one is fitted when its rows are read.
    """
    if array.ndim == 0:
        raise DatasetMismatch(
            f"{field!r} is one number, and input {spec.name!r} takes {spec.describe()}",
            pointer=f"#/{field}",
        )
    if len(array) == 0:
        raise DatasetMismatch(f"{field!r} is empty", pointer=f"#/{field}")
    if array.dtype.kind not in "fiub":
        raise DatasetMismatch(
            f"{field!r} holds {array.dtype}, and the model takes numbers", pointer=f"#/{field}"
        )
    fitted = _by_index(array, spec, field, preprocessing, notes)
    check_finite(fitted, field, may_lack=spec.fills_in)
    return fitted


def _by_index(
    array: Array, spec: InputSpec, field: str, preprocessing: Preprocessing | None, notes: list[str]
) -> RowSource:
    if not is_large(array.size * max(array.itemsize, spec.dtype.itemsize)):
        return _fitted(array, spec, field, preprocessing, notes)
    first = _fitted(array[:1], spec, field, preprocessing, notes)
    fitted = partial(_fitted, spec=spec, field=field, preprocessing=preprocessing, notes=[])
    return MappedRows(array, fitted, (len(array), *first.shape[1:]), first.dtype)


def _fitted(
    array: Array, spec: InputSpec, field: str, preprocessing: Preprocessing | None, notes: list[str]
) -> Array:
    if preprocessing is not None and spec.dtype.kind == "f":
        array = preprocessing.apply(array, spec)
    array = _retyped(array, spec, field, notes)
    return _reshaped(array, spec, field, notes)


def check_finite(
    source: RowSource, field: str, columns: list[str] | None = None, *, may_lack: bool = False
) -> None:
    """Refuse infinity, and NaN unless entries `may_lack`, by row and column."""
    if source.dtype.kind != "f":
        return
    for start, rows in in_chunks(source, CHECKED_ROWS):
        bad = np.isinf(rows) if may_lack else ~np.isfinite(rows)
        if not bad.any():
            continue
        index = np.argwhere(bad)[0]
        row = start + int(index[0])
        what = "NaN" if np.isnan(rows[tuple(index)]) else "an infinite value"
        column = ", ".join(str(int(i)) for i in index[1:])
        if columns is not None and len(index) == 2:
            column = repr(columns[int(index[1])])
        raise DatasetMismatch(
            f"{field!r} has {what} in row {row}" + (f", column {column}" if column else ""),
            pointer=f"#/{field}/{row}",
        )


def _retyped(array: Array, spec: InputSpec, field: str, notes: list[str]) -> Array:
    if array.dtype == spec.dtype:
        return array
    if spec.dtype.kind == "f":
        if array.dtype == np.uint8:
            raise DatasetMismatch(
                f"{field!r} holds unsigned bytes, and input {spec.name!r} takes {spec.dtype.name}: state the "
                'preprocessing, for example {"scale": 0.00392156862745098} for pixels in 0..1',
                pointer=f"#/{field}",
            )
        if array.dtype.kind != "f":
            note(notes, f"{field}: {array.dtype.name} taken as {spec.dtype.name}")
        return array.astype(spec.dtype)
    if array.dtype.kind == "f" or not np.can_cast(array.dtype, spec.dtype, "same_kind"):
        raise DatasetMismatch(
            f"{field!r} holds {array.dtype.name}, and input {spec.name!r} takes {spec.dtype.name}",
            pointer=f"#/{field}",
        )
    return array.astype(spec.dtype)


def _reshaped(array: Array, spec: InputSpec, field: str, notes: list[str]) -> Array:
    wanted = spec.row_shape
    if matches(array.shape[1:], wanted):
        return array
    if _is_same_row(array.shape[1:], wanted):
        note(notes, f"{field}: rows of shape {list(array.shape[1:])} taken as {list(wanted)}")
        return array.reshape(len(array), *[int(size or 0) for size in wanted])
    if layout := _other_layout(array.shape[1:], wanted):
        raise DatasetMismatch(
            f"{field!r} has rows of shape {list(array.shape[1:])}, and input {spec.name!r} takes {spec.describe()}: "
            f'the axes stand in another order; pass preprocessing {{"layout": "{layout}"}}',
            pointer=f"#/{field}",
        )
    whole = ""
    if spec.rows_axis is not None and matches(array.shape[1:], spec.shape):
        whole = f': if each row is a whole input, pass rows_axis {{"{spec.name}": null}}'
    raise DatasetMismatch(
        f"{field!r} has rows of shape {list(array.shape[1:])}, and input {spec.name!r} takes {spec.describe()}{whole}",
        pointer=f"#/{field}",
    )


def _is_same_row(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Say whether a row can be reshaped without another order of its numbers: sizes of 1, or one axis on a side."""
    if any(size is None for size in wanted):
        return False
    sizes = [int(size or 0) for size in wanted]
    if int(np.prod(shape)) != int(np.prod(sizes)):
        return False
    plain, asked = ([size for size in side if size != 1] for side in (shape, sizes))
    return plain == asked or len(plain) <= 1 or len(asked) <= 1


def _other_layout(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> str | None:
    """Return the layout to ask for where images have their channels at the other end."""
    if len(shape) != 3 or len(wanted) != 3:
        return None
    if matches((shape[2], *shape[:2]), wanted):
        return "nchw"
    return "nhwc" if matches((*shape[1:], shape[0]), wanted) else None


def matches(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Say whether a row's shape is the wanted one, None standing for any size."""
    return len(shape) == len(wanted) and all(
        size is None or size == actual for actual, size in zip(shape, wanted, strict=True)
    )


def note(notes: list[str], text: str) -> None:
    """Say a thing once."""
    if text not in notes:
        notes.append(text)
