"""Tables: `.csv` and its like, `.parquet`, Arrow files; feature columns in order, one label column."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
from numpy.typing import NDArray

from spectral_engine.data.reading import columns
from spectral_engine.data.reading.kind import kind_of
from spectral_engine.data.reading.text import read_text_table
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
USUAL_LABELS = ("label", "target", "labels", "class", "y")
INDEX_NAMES = ("", "index", "id", "Unnamed: 0", "__index_level_0__")
MAX_TABLE_BYTES = 8 * 2**30
BYTES_PER_VALUE = 8


@dataclass(frozen=True)
class Table:
    """Features [rows, columns], their names, and the label column with its name, where there is one."""

    features: Array
    names: list[str]
    labels: Array | None
    label: str | None
    notes: list[str] = field(default_factory=list)


def read_table(path: Path, label: str | None, feature_count: int | None) -> Table:
    """Read a table; `feature_count` columns beside the label are expected where that is known.

    Without a `label`, a column of a usual name or else the last one is taken; where all columns are features
    of the model, there is none. Raises DatasetMismatch by column and row.
    """
    notes: list[str] = []
    table = _read(path, notes)
    if table.num_rows == 0 or table.num_columns == 0:
        raise DatasetMismatch("the table has no rows", pointer="#/file")
    names = [str(name) for name in table.column_names]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetMismatch(f"column {twice!r} stands twice", pointer=f"#/{twice}")
    chosen = _label_column(names, label, feature_count)
    features = [name for name in names if name != chosen]
    features = _without_index(table, features, feature_count, notes)
    if feature_count is not None and len(features) != feature_count:
        raise DatasetMismatch(
            f"the table has {len(features)} feature columns beside {chosen!r}, and the model takes {feature_count}",
            pointer="#/file",
        )
    if label is None and chosen is not None:
        notes.append(f"column {chosen!r} taken as the label")
    found = [columns.numbers(table.column(name), name, notes) for name in features]
    labels = None if chosen is None else columns.labels(table.column(chosen), chosen)
    return Table(np.stack(found, axis=1), features, labels, chosen, notes)


def _read(path: Path, notes: list[str]) -> Any:
    kind = kind_of(path)
    if kind == "text":
        return read_text_table(path, notes)
    try:
        return _read_parquet(path) if kind == "parquet" else _read_arrow(path, notes)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatasetMismatch(
            f"the file is not a whole {kind} table: {reason}", pointer="#/file"
        ) from error


def _read_parquet(path: Path) -> Any:
    file = pyarrow.parquet.ParquetFile(path)
    _refuse_large(file.metadata.num_rows, file.metadata.num_columns)
    return file.read()


def _read_arrow(path: Path, notes: list[str]) -> Any:
    with warnings.catch_warnings(record=True, action="always") as outdated:
        table = pyarrow.feather.read_table(path, memory_map=True)
    if outdated:
        notes.append("the file is a Feather V1 table, which pyarrow is about to stop reading")
    _refuse_large(table.num_rows, table.num_columns)
    return table


def _refuse_large(rows: int, width: int) -> None:
    declared = rows * width * BYTES_PER_VALUE
    if declared > MAX_TABLE_BYTES:
        raise DatasetMismatch(
            f"the table would take {declared:,} bytes; at most {MAX_TABLE_BYTES:,} are allowed",
            pointer="#/file",
        )


def _label_column(names: list[str], label: str | None, feature_count: int | None) -> str | None:
    if label is not None:
        if label not in names:
            raise DatasetMismatch(
                f"there is no column {label!r}; the columns are {', '.join(names[:20])}",
                pointer="#/label",
            )
        return label
    if feature_count == len(names):
        return next((name for name in USUAL_LABELS[:2] if name in names), None)
    usual = next((name for name in USUAL_LABELS if name in names), None)
    return usual or names[-1]


def _without_index(
    table: Any, features: list[str], feature_count: int | None, notes: list[str]
) -> list[str]:
    """Leave out a column that numbers the rows, where the model takes one column less."""
    if feature_count is None or len(features) != feature_count + 1:
        return features
    for name in features:
        if name in INDEX_NAMES and _counts_rows(table.column(name)):
            notes.append(f"column {name!r} numbers the rows, and is left out")
            return [other for other in features if other != name]
    return features


def _counts_rows(column: Any) -> bool:
    if not pa.types.is_integer(column.type) or column.null_count:
        return False
    values = np.asarray(column.to_numpy())
    return bool((np.diff(values) == 1).all()) and int(values[0]) in {0, 1}
