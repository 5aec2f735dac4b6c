"""A large text table, batch by batch, with the types that its columns have as a whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from spectral_engine.data.allowance import most_bytes
from spectral_engine.data.reading.mapped_table import mapped

COLUMN = re.compile(r"In CSV column #(\d+): (?:Row #\d+: )?CSV conversion error")
WIDER = {pa.null(): pa.int64(), pa.int64(): pa.float64()}  # of all others: texts
BLOCK_BYTES = 2**22


def mapped_text(
    path: Path,
    reading: pyarrow.csv.ReadOptions,
    parsing: pyarrow.csv.ParseOptions,
    conversion: pyarrow.csv.ConvertOptions,
) -> Any:
    """Return a text table as a mapped one. Raises pyarrow's errors for what is no table.

    The first rows tell the types; where a later one does not fit, its column is widened and the file read again.
    """
    reading.block_size = BLOCK_BYTES
    while True:
        with pyarrow.csv.open_csv(path, reading, parsing, conversion) as batches:
            types = dict(zip(batches.schema.names, batches.schema.types, strict=True))
            try:
                return mapped(batches, lambda table, _: table, most_bytes(path))
            except pa.ArrowInvalid as error:
                conversion.column_types = _widened(types, error)


def _widened(types: dict[str, Any], error: pa.ArrowInvalid) -> dict[str, Any]:
    """Return types of columns of which one holds what it did not before; raises the error of any other fault."""
    column = COLUMN.search(str(error))
    name = None if column is None else list(types)[int(column[1])]
    if name is None or types[name] == pa.string():
        raise error
    return {**types, name: WIDER.get(types[name], pa.string())}
