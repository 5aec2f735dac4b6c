"""A column of a table that says which rows are to train on, to choose by, or held out."""

from __future__ import annotations

from typing import Any

from spectral_engine.data.part_names import PART_HEADERS, PARTS
from spectral_engine.data.reading.columns import is_text, refuse_missing


def part_column(table: Any, label: str | None) -> tuple[str, list[str]] | None:
    """Return the column of a usual name whose texts are all names of parts, `train` among them, and the parts.

    Raises DatasetMismatch where such a column has no value in some row.
    """
    for name in map(str, table.column_names):
        column = table.column(name)
        if name == label or name.strip().casefold() not in PART_HEADERS or not is_text(column.type):
            continue
        written = {str(value).strip().lower() for value in column.unique().drop_null().to_pylist()}
        if written <= PARTS.keys() and "train" in {PARTS[value] for value in written}:
            refuse_missing(column, name)
            return name, [PARTS[str(value).strip().lower()] for value in column.to_pylist()]
    return None
