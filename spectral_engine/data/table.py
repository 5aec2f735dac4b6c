"""`.csv` and `.parquet`: feature columns in order, one label column."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
USUAL_LABELS = ("label", "target")
MAX_TABLE_BYTES = 8 * 2**30
BYTES_PER_VALUE = 8


@dataclass(frozen=True)
class Table:
    """Features [rows, columns], their names, and the label column with its name, where there is one."""

    features: Array
    names: list[str]
    labels: Array | None
    label: str | None


def read_table(path: Path, label: str | None, feature_count: int | None) -> Table:
    """Read a table; `feature_count` columns beside the label are expected where that is known.

    Without a `label`, a column of a usual name or else the last one is taken; where all columns are features
    of the model, there is none. Raises DatasetMismatch by column and row.
    """
    table = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    if table.num_rows == 0 or table.num_columns == 0:
        raise DatasetMismatch("the table has no rows", pointer="#/file")
    names = [str(name) for name in table.column_names]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetMismatch(f"column {twice!r} stands twice", pointer=f"#/{twice}")
    chosen = _label_column(names, label, feature_count)
    features = [name for name in names if name != chosen]
    if feature_count is not None and len(features) != feature_count:
        raise DatasetMismatch(
            f"the table has {len(features)} feature columns beside {chosen!r}, and the model takes {feature_count}",
            pointer="#/file",
        )
    columns = [_numbers(table.column(name), name) for name in features]
    labels = None if chosen is None else _label_values(table.column(chosen), chosen)
    return Table(np.stack(columns, axis=1), features, labels, chosen)


def _read_csv(path: Path) -> Any:
    if path.stat().st_size == 0:
        raise DatasetMismatch("the file is empty", pointer="#/file")
    try:
        return pyarrow.csv.read_csv(path)
    except pa.ArrowInvalid as error:
        raise DatasetMismatch(f"the file is not a table: {error}", pointer="#/file") from error


def _read_parquet(path: Path) -> Any:
    try:
        file = pyarrow.parquet.ParquetFile(path)
        declared = file.metadata.num_rows * file.metadata.num_columns * BYTES_PER_VALUE
        if declared > MAX_TABLE_BYTES:
            raise DatasetMismatch(
                f"the table would take {declared:,} bytes; at most {MAX_TABLE_BYTES:,} are allowed",
                pointer="#/file",
            )
        return file.read()
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetMismatch(
            f"the file is not a parquet table: {error}", pointer="#/file"
        ) from error


def _label_column(names: list[str], label: str | None, feature_count: int | None) -> str | None:
    if label is not None:
        if label not in names:
            raise DatasetMismatch(
                f"there is no column {label!r}; the columns are {', '.join(names[:20])}",
                pointer="#/label",
            )
        return label
    usual = next((name for name in USUAL_LABELS if name in names), None)
    if usual is None and feature_count == len(names):
        return None
    return usual or names[-1]


def _numbers(column: Any, name: str) -> Array:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise DatasetMismatch(
            f"column {name!r} holds {kind}, and the model takes numbers: encode it",
            pointer=f"#/{name}",
        )
    _refuse_missing(column, name)
    return np.asarray(column.to_numpy(), dtype=np.float32)


def _label_values(column: Any, name: str) -> Array:
    _refuse_missing(column, name)
    values = np.asarray(column.to_numpy())
    return values.astype(str) if values.dtype == object else values


def _refuse_missing(column: Any, name: str) -> None:
    if column.null_count:
        row = int(np.flatnonzero(np.asarray(column.is_null()))[0])
        raise DatasetMismatch(
            f"column {name!r} has no value in row {row}", pointer=f"#/{name}/{row}"
        )
