"""Tables: `.csv` and its like, `.parquet`, Arrow files; feature columns in order, one label column."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
from numpy.typing import NDArray

from spectral_engine.data.doubt import in_doubt
from spectral_engine.data.reading import columns
from spectral_engine.data.reading.feature_matrix import feature_matrix
from spectral_engine.data.reading.kind import kind_of
from spectral_engine.data.reading.lists import (
    is_list,
    list_values,
    opened_structs,
    refuse_lists,
    spread_lists,
)
from spectral_engine.data.reading.mapped_table import (
    Flat,
    declared_bytes,
    mapped_arrow,
    mapped_parquet,
    mapped_stream,
    most_bytes,
    refuse_large,
    refuse_twice,
)
from spectral_engine.data.reading.part_column import part_column
from spectral_engine.data.reading.roles import roles_of
from spectral_engine.data.reading.text import read_text_table
from spectral_engine.data.row_source import is_large
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]


@dataclass(frozen=True)
class Table:
    """Features [rows, columns], their names, and the label column with its name, where there is one.

    `doubt` is what a refusal is to say where nothing but its place tells the label, and `choices` are the columns that
    may be it, where there are several; `parts` says, where a column does,
    to which part each row belongs.
    """

    features: Array
    names: list[str]
    labels: Array | None
    label: str | None
    notes: list[str] = field(default_factory=list)
    doubt: str | None = None
    parts: list[str] | None = None
    choices: tuple[str, ...] = ()


def read_table(path: Path, label: str | None, feature_count: int | None, name: str) -> Table:
    """Read a table; `feature_count` columns beside the label are expected where that is known, for the input `name`.

    Without a `label`, a column of a usual name, the only one of texts, or else the last one is taken; where all
    columns are features of the model, there is none. Raises DatasetMismatch by column and row.
    """
    notes: list[str] = []

    def flat(rows: Any, first_row: int) -> Any:
        said = notes if first_row == 0 else []
        return spread_lists(opened_structs(rows, said), name, feature_count, said, first_row)

    table = _read(path, notes, flat)
    if table.num_rows == 0 or table.num_columns == 0:
        raise DatasetMismatch("the table has no rows", pointer="#/file")
    index = _index(table)
    refuse_twice(table.column_names)
    table = flat(table, 0)
    refuse_twice(table.column_names)
    parts = None
    if (told := part_column(table, label)) is not None:
        column, parts = told
        table = table.drop_columns([column])
        notes.append(f"column {column!r} says which rows are train, val and test")
    roles = roles_of(table, label, feature_count, index)
    notes += roles.notes
    if not roles.features:
        raise DatasetMismatch(
            f"the table has no column beside {roles.label!r}: the model takes numbers",
            pointer="#/file",
        )
    with in_doubt(roles.doubt):
        refuse_lists(table, roles.features, feature_count)
        features = feature_matrix(table, roles.features, notes)
        labels = None if roles.label is None else _labels(table, roles.label, notes)
    return Table(
        features,
        roles.features,
        labels,
        roles.label,
        notes,
        roles.doubt,
        parts,
        roles.choices,
    )


def _labels(table: Any, name: str, notes: list[str]) -> Array:
    column = table.column(name)
    return list_values(column, name) if is_list(column) else columns.labels(column, name, notes)


def _index(table: Any) -> set[str]:
    """Return the columns that pandas wrote as the index of its rows, which Parquet's metadata names."""
    try:
        metadata = table.schema.pandas_metadata or {}
        return {one for one in metadata.get("index_columns", ()) if isinstance(one, str)}
    except (ValueError, TypeError, AttributeError):
        return set()


def _read(path: Path, notes: list[str], flat: Flat) -> Any:
    kind = kind_of(path)
    if kind == "text":
        return read_text_table(path, notes)
    try:
        if kind == "parquet":
            return _read_parquet(path, flat)
        return (
            _read_stream(path, flat) if kind == "arrow stream" else _read_arrow(path, notes, flat)
        )
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatasetMismatch(
            f"the file is not a whole {kind} table: {reason}", pointer="#/file"
        ) from error


def _read_parquet(path: Path, flat: Flat) -> Any:
    with pyarrow.parquet.ParquetFile(path) as file:
        if not is_large(declared_bytes(file.metadata, path)):
            return file.read()
        refuse_twice(file.schema_arrow.names)
    return mapped_parquet(path, flat)


def _read_arrow(path: Path, notes: list[str], flat: Flat) -> Any:
    if is_large(path.stat().st_size) and not _is_feather_v1(path):
        return mapped_arrow(path, flat)
    with warnings.catch_warnings(record=True, action="always") as outdated:
        table = pyarrow.feather.read_table(path, memory_map=True)
    if outdated:
        notes.append("the file is a Feather V1 table, which pyarrow is about to stop reading")
    refuse_large(table.num_rows * table.num_columns, most_bytes(path))
    table.validate(full=True)
    return table


def _read_stream(path: Path, flat: Flat) -> Any:
    if is_large(path.stat().st_size):
        return mapped_stream(path, flat)
    with pa.memory_map(str(path)) as file, pyarrow.ipc.open_stream(file) as stream:
        table = stream.read_all()
    refuse_large(table.num_rows * table.num_columns, most_bytes(path))
    table.validate(full=True)
    return table


def _is_feather_v1(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"FEA1"
