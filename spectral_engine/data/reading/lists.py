"""Columns that hold several numbers in each row, as Parquet and Arrow have them: lists and structs, as columns."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
MOST_COLUMNS = 2**18  # of a list, which take a kilobyte each beside their numbers


def opened_structs(table: Any, notes: list[str]) -> Any:
    """Return a table in which every field of a struct is a column of its own."""
    while structs := [one.name for one in table.schema if pa.types.is_struct(one.type)]:
        notes += [f"column {name!r} holds several fields, read as columns" for name in structs]
        table = table.flatten()
    return table


def is_list(column: Any) -> bool:
    """Say whether a column holds lists, of whatever length."""
    kind = column.type
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def spread_lists(
    table: Any, name: str | None, count: int | None, notes: list[str], first_row: int = 0
) -> Any:
    """Return a table in which the lists that are the features are columns, as many as the model takes.

    That is the only column of lists, or that which is called as the input, `name`, is. Raises DatasetMismatch for
    lists of several lengths, by rows counted from `first_row`.
    """
    lists = [str(one) for one in table.column_names if is_list(table.column(one))]
    if not lists:
        return table
    chosen = next((one for one in lists if one == name), None)
    for one in lists if chosen is None else [chosen]:
        values = list_values(table.column(one), one, first_row)
        width = values.shape[1]
        if width > MOST_COLUMNS:
            raise DatasetMismatch(
                f"column {one!r} holds lists of {width:,} numbers; at most {MOST_COLUMNS:,} are read as columns: give "
                "an .npz file",
                pointer=f"#/{one}",
            )
        if (len(lists) == 1 or one == chosen or width == count) and width == (count or width):
            notes.append(f"column {one!r} holds lists of {width} numbers, read as the features")
            return _with(table, one, values)
    return table


def list_values(column: Any, name: str, first_row: int = 0) -> Array:
    """Return the numbers in lists of one length [rows, length]; lists of lists are flattened.

    Raises DatasetMismatch, by column and row counted from `first_row`, for what is no such list.
    """
    rows, values = len(column), column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # as some versions return
        values = pa.concat_arrays(values.chunks)
    while is_list(values):
        values = _inner(values, name, first_row)
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise DatasetMismatch(
            f"column {name!r} holds lists of {kind}, and the model takes numbers: encode them",
            pointer=f"#/{name}",
        )
    if values.null_count:
        raise DatasetMismatch(
            f"column {name!r} has no value in some places of its lists: fill or drop them",
            pointer=f"#/{name}",
        )
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(rows, -1)


def refuse_lists(table: Any, features: Collection[str], count: int | None) -> None:
    """Raise DatasetMismatch where a feature is a column of lists: they were not as many numbers as the model takes."""
    for name in features:
        column = table.column(name)
        if is_list(column):
            width = list_values(column, name).shape[1]
            takes = "numbers" if count is None else f"{count}"
            raise DatasetMismatch(
                f"column {name!r} holds lists of {width} numbers, and the model takes {takes}: give one column for "
                "each number, or an .npz file",
                pointer=f"#/{name}",
            )


def _inner(lists: Any, name: str, first_row: int) -> Any:
    """Return the values of one level of lists, all of one length."""
    if lists.null_count:
        row = first_row + int(np.flatnonzero(np.asarray(lists.is_null()))[0])
        raise DatasetMismatch(f"column {name!r} has no value in row {row}", pointer=f"#/{name}")
    if not pa.types.is_fixed_size_list(lists.type):
        lengths = np.diff(np.asarray(lists.offsets))
        if len(np.unique(lengths)) > 1:
            other = int(np.flatnonzero(lengths != lengths[0])[0])
            row = first_row + other
            raise DatasetMismatch(
                f"column {name!r} holds lists of several lengths, {lengths[0]} in row {first_row} and "
                f"{lengths[other]} in row {row}: pad them to one",
                pointer=f"#/{name}/{row}",
            )
    return lists.flatten()


def _with(table: Any, name: str, values: Array) -> Any:
    position = table.column_names.index(name)
    kept = table.remove_column(position)
    names = [str(one) for one in kept.column_names]
    parts = [pa.chunked_array([np.ascontiguousarray(part)]) for part in values.T]
    written = [f"{name}_{number}" for number in range(len(parts))]
    columns = [*kept.columns[:position], *parts, *kept.columns[position:]]
    return pa.table(columns, names=[*names[:position], *written, *names[position:]])
