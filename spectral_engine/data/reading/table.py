"""Tables: `.csv` and its like, `.parquet`, Arrow files; feature columns in order, one label column."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
from numpy.typing import NDArray

from spectral_engine.data.allowance import Allowance, most_bytes, most_in_memory
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
    checked,
    declared_bytes,
    decoded,
    mapped_arrow,
    mapped_parquet,
    mapped_stream,
    refuse_large,
    refuse_twice,
)
from spectral_engine.data.reading.part_column import part_column
from spectral_engine.data.reading.roles import roles_of
from spectral_engine.data.reading.text import read_text_table
from spectral_engine.data.row_source import is_large
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
ROWS_OF_TEXT, ROWS_OF_PREFIXES = 1024, 64  # read at once


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
            return _parquet_in_memory(path, file)
        refuse_twice(file.schema_arrow.names)
    return mapped_parquet(path, flat)


def _parquet_in_memory(path: Path, file: Any) -> Any:
    """Read a small file; its texts by numbers and some rows at a time, since a page may hold one for all rows."""
    schema = file.schema_arrow
    texts = [one.name for one in schema if columns.has_lengths(one.type)]
    if not texts and not any(pa.types.is_nested(one.type) for one in schema):
        return file.read()
    # The reader has no numbers for these; each may repeat most of the one before at no cost.
    by_prefix = any(one.startswith("DELTA") for one in _encodings(file.metadata))
    numbered, rows = ([], ROWS_OF_PREFIXES) if by_prefix else (texts, ROWS_OF_TEXT)
    with pyarrow.parquet.ParquetFile(path, read_dictionary=numbered, pre_buffer=False) as pieces:
        return _joined(pieces.iter_batches(rows), schema, path)


def _encodings(metadata: Any) -> set[str]:
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return {
        encoding
        for group in groups
        for index in range(group.num_columns)
        for encoding in group.column(index).encodings
    }


def _joined(batches: Iterable[Any], schema: Any, path: Path) -> Any:
    """Return batches as one table in memory; raises DatasetMismatch where they take more than may lie there."""
    allowed = Allowance(most_in_memory(path))
    tables = [decoded(pa.Table.from_batches([batch]), allowed) for batch in batches]
    if not tables:
        return schema.empty_table()
    return pa.concat_tables(tables).replace_schema_metadata(schema.metadata)


def _read_arrow(path: Path, notes: list[str], flat: Flat) -> Any:
    if is_large(path.stat().st_size) and not _is_feather_v1(path):
        return mapped_arrow(path, flat)
    if not _is_feather_v1(path):
        with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
            batches = (file.get_batch(number) for number in range(file.num_record_batches))
            return _joined(checked(batches), file.schema, path)
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
        return _joined(checked(stream), stream.schema, path)


def _is_feather_v1(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"FEA1"
