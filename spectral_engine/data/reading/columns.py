"""Columns of a table as arrays: numbers, vectors, and labels as they are."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
GROUPED = re.compile(
    r"[+-]?\d{1,3}(?P<sign>[., '\u00a0\u2009\u202f])\d{3}(?:(?P=sign)\d{3})*(?:[.,]\d+)?$"
)
SPACES = " '\u00a0\u2009\u202f"


def numbers(column: Any, name: str, notes: list[str]) -> Array:
    """Return a column as float32 [rows]; raises DatasetMismatch by column and row for what is no number."""
    column = _plain(column)
    kind = column.type
    refuse_missing(column, name)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float32)
    if pa.types.is_decimal(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float32)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _from_texts([str(value) for value in column.to_pylist()], name, notes)
    raise DatasetMismatch(
        f"column {name!r} holds {kind}, and the model takes numbers: encode it", pointer=f"#/{name}"
    )


def labels(column: Any, name: str) -> Array:
    """Return a label column as it is [rows]: texts without blanks at their ends, numbers, booleans."""
    column = _plain(column)
    refuse_missing(column, name)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
        blank = np.flatnonzero(np.asarray(pc.equal(pc.utf8_length(column), 0)))
        if len(blank):
            raise _missing(name, blank, len(column))
        return np.asarray([str(value) for value in column.to_pylist()])
    values = np.asarray(column.to_numpy(zero_copy_only=False))
    if values.dtype.kind not in "fiub":
        raise DatasetMismatch(
            f"column {name!r} holds {column.type}, which is no label: give numbers or texts",
            pointer=f"#/{name}",
        )
    return values


def refuse_missing(column: Any, name: str) -> None:
    """Raise DatasetMismatch where a value is missing, by the first row and their count."""
    if column.null_count:
        raise _missing(name, np.flatnonzero(np.asarray(column.is_null())), len(column))


def _missing(name: str, rows: NDArray[np.int64], count: int) -> DatasetMismatch:
    first = int(rows[0])
    return DatasetMismatch(
        f"column {name!r} has no value in row {first} ({len(rows):,} of {count:,} rows have none): fill or drop them",
        pointer=f"#/{name}/{first}",
    )


def _plain(column: Any) -> Any:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _from_texts(values: list[str], name: str, notes: list[str]) -> Array:
    """Read numbers that are written with thousands separators; the same sign must serve the whole column."""
    stripped = [value.strip() for value in values]
    signs = {match["sign"] for value in stripped if (match := GROUPED.match(value))}
    if len(signs) == 1:
        sign = signs.pop()
        decimal = "," if sign == "." else "."
        plain = [value.replace(sign, "").replace(decimal, ".") for value in stripped]
        if not (sign in ".," and any(_breaks(value, sign) for value in stripped)):
            found = _floats(plain)
            if found is not None:
                notes.append(f"{name}: {sign!r} is read as a separator of thousands")
                return found
    found = _floats(stripped)
    if found is not None:
        return found
    row = next(place for place, value in enumerate(stripped) if _floats([value]) is None)
    raise DatasetMismatch(
        f"column {name!r} holds text, as {stripped[row][:60]!r} in row {row}, and the model takes numbers: encode it",
        pointer=f"#/{name}/{row}",
    )


def _breaks(value: str, sign: str) -> bool:
    """Say whether a sign stands where no separator of thousands can stand."""
    return sign in value and GROUPED.match(value) is None


def _floats(values: list[str]) -> Array | None:
    try:
        return np.asarray([float(value) for value in values], dtype=np.float32)
    except ValueError:
        return None
