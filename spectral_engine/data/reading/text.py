"""`.csv` and its like, as spreadsheets and people write them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from spectral_engine.data.reading.text_batches import mapped_text
from spectral_engine.data.row_source import is_large
from spectral_engine.data.text_tables.cleaning import cleaned
from spectral_engine.data.text_tables.dialect import SEPARATORS, Dialect, dialect_of
from spectral_engine.errors import DatasetMismatch

MISSING = [
    "",
    "NA",
    "N/A",
    "n/a",
    "NaN",
    "nan",
    "null",
    "NULL",
    "None",
    "#N/A",
    "?",
    "-nan",
    "-NaN",
]


def read_text_table(path: Path, notes: list[str]) -> Any:
    """Return a table of text as an Arrow table; raises DatasetMismatch that names line or encoding."""
    dialect = dialect_of(path)
    notes += dialect.notes
    try:
        with cleaned(path, dialect) as (plain, written):
            table = _read(plain, written)
    except (pa.ArrowException, UnicodeError, LookupError, OSError, csv.Error) as error:
        raise DatasetMismatch(_why(error, dialect), pointer="#/file") from error
    return _tidied(table, row_names=dialect.row_names)


def _read(path: Path, dialect: Dialect) -> Any:
    named = dialect.names is not None
    reading = pyarrow.csv.ReadOptions(
        encoding=dialect.encoding,
        skip_rows=dialect.above + (named and dialect.header),
        column_names=dialect.names,
    )
    parsing = pyarrow.csv.ParseOptions(delimiter=dialect.separator, newlines_in_values=True)
    conversion = pyarrow.csv.ConvertOptions(
        decimal_point=dialect.decimal, null_values=MISSING, strings_can_be_null=True
    )
    read = mapped_text if is_large(path.stat().st_size) else pyarrow.csv.read_csv
    return read(path, reading, parsing, conversion)


def _why(error: Exception, dialect: Dialect) -> str:
    reason = "".join(c if c.isprintable() else "?" for c in " ".join(str(error).split())[:200])
    separated = SEPARATORS[dialect.separator]
    return f"the file is not a table (read as {dialect.encoding}, columns separated by {separated}): {reason}"


def _tidied(table: Any, *, row_names: bool) -> Any:
    """Strip names, and drop names of rows, and columns without a name or a value, as separators at line ends make."""
    if row_names:
        table = table.remove_column(0)
    names = [str(name).strip().lstrip("\ufeff") for name in table.column_names]
    empty = [
        index
        for index, name in enumerate(names)
        if not name and table.column(index).null_count == table.num_rows
    ]
    kept = [index for index in range(len(names)) if index not in empty]
    return pa.table([table.column(index) for index in kept], names=[names[index] for index in kept])
