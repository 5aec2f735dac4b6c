"""Columns of a table as arrays: numbers, vectors, and labels as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spectral_engine.data.allowance import most_in_memory
from spectral_engine.data.text_tables.number_texts import is_number, is_typeset, numbers_in
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
BYTES_OF_SIGN = 4  # of an array of texts


def numbers(column: Any, name: str, notes: list[str]) -> Array:
    """Return a column as float32 [rows]; raises DatasetMismatch by column and row for what is no number."""
    column = _plain(column)
    kind = column.type
    refuse_missing(column, name)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float32)
    if pa.types.is_decimal(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float32)
    if is_text(kind):
        return _from_texts([str(value) for value in column.to_pylist()], name, notes)
    raise DatasetMismatch(
        f"column {name!r} holds {kind}, and the model takes numbers: encode or drop it",
        pointer=f"#/{name}",
    )


def has_lengths(kind: Any) -> bool:
    """Say whether the values of an Arrow type are texts or bytes, each of a length of its own."""
    return is_text(kind) or bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def is_text(kind: Any) -> bool:
    """Say whether an Arrow type is one of texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _refuse_long_texts(column: Any, name: str) -> None:
    """Raise DatasetMismatch where an array would be too large, in which each text is as long as the longest."""
    longest = int(pc.max(pc.utf8_length(column)).as_py() or 0)
    size, most = len(column) * longest * BYTES_OF_SIGN, most_in_memory()
    if size > most:
        raise DatasetMismatch(
            f"column {name!r} holds texts of up to {longest:,} signs, which for {len(column):,} rows take {size:,} "
            f"bytes; at most {most:,} are allowed: give short labels",
            pointer=f"#/{name}",
        )


def labels(column: Any, name: str, notes: list[str]) -> Array:
    """Return a label column as it is [rows]: texts without blanks at their ends, numbers, booleans.

    Texts that are numbers with separated thousands or a typographic minus are numbers.
    """
    column = _plain(column)
    refuse_missing(column, name)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if is_text(column.type):
        column = pc.utf8_trim_whitespace(column)
        blank = np.flatnonzero(np.asarray(pc.equal(pc.utf8_length(column), 0)))
        if len(blank):
            raise _missing(name, blank, len(column))
        _refuse_long_texts(column, name)
        texts = [str(value) for value in column.to_pylist()]
        numbers = numbers_in(texts, name, notes) if is_typeset(texts) else None
        return np.asarray(texts) if numbers is None else numbers
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
    parsed = numbers_in(values, name, notes)
    if parsed is not None:
        return parsed.astype(np.float32)
    row = next((index for index, value in enumerate(values) if not is_number(value)), None)
    if row is None:
        raise DatasetMismatch(
            f"column {name!r} holds numbers written in several ways, as {values[0].strip()[:60]!r} in row 0: write "
            "decimals and thousands alike in all rows",
            pointer=f"#/{name}",
        )
    raise DatasetMismatch(
        f"column {name!r} holds text, as {values[row].strip()[:60]!r} in row {row}, and the model takes numbers: "
        "encode or drop it",
        pointer=f"#/{name}/{row}",
    )
