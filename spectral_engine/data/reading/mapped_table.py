"""Tables larger than what is held in memory: converted once, batch by batch, to Arrow files that are mapped."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from spectral_engine.errors import DatasetMismatch

COLUMNS_AT_ONCE = 32  # of a Parquet file: a page of each is unpacked at the same time
BATCH_BYTES = 2**24
BYTES_PER_VALUE = 8
MAX_TABLE_BYTES = 64 * 2**30
# A file of a few bytes may declare any number of values: any file may hold the first, and more only a hundredfold.
ANY_FILE_BYTES, MOST_TIMES_ITS_SIZE = 8 * 2**30, 100
BUFFER_BYTES = 2**16
# Turns a batch of rows, of which the first has this number, into columns without structs and lists.
Flat = Callable[[Any, int], Any]


def mapped_parquet(path: Path, flat: Flat) -> Any:
    """Return a Parquet file as a mapped table, some columns after the others, row group after row group."""
    with pyarrow.parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
        at_once = max(1, BATCH_BYTES * rows // declared_bytes(file.metadata, path))
        parts = [
            mapped(file.iter_batches(at_once, columns=names), flat, most_bytes(path))
            for names in _some_at_once(schema)
        ]
    table = pa.table(
        [column for part in parts for column in part.columns],
        names=[name for part in parts for name in part.column_names],
    )
    return table.replace_schema_metadata(schema.metadata)


def _some_at_once(schema: Any) -> Iterator[Sequence[str]]:
    """Yield the names of columns that are read together; which lists are the features, all columns tell."""
    nested = any(pa.types.is_nested(one.type) for one in schema)
    step = len(schema) if nested else COLUMNS_AT_ONCE
    for start in range(0, len(schema), step):
        yield schema.names[start : start + step]


def declared_bytes(metadata: Any, path: Path) -> int:
    """Return what the values of a Parquet file take; raises DatasetMismatch where that is more than is allowed."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    stored = sum(one.column(index).num_values for one in groups for index in range(one.num_columns))
    return refuse_large(max(stored, metadata.num_rows * metadata.num_columns), most_bytes(path))


def most_bytes(path: Path) -> int:
    """Return what the values of a table file may take."""
    return min(MAX_TABLE_BYTES, max(ANY_FILE_BYTES, MOST_TIMES_ITS_SIZE * path.stat().st_size))


def refuse_large(values: int, most: int) -> int:
    """Return what so many values take; raises DatasetMismatch where that is more than `most`."""
    declared = values * BYTES_PER_VALUE
    if declared > most:
        raise DatasetMismatch(
            f"the table would take {declared:,} bytes; at most {most:,} are allowed for a file of its size",
            pointer="#/file",
        )
    return declared


def refuse_twice(names: Sequence[str]) -> None:
    """Raise DatasetMismatch where two columns have the same name."""
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise DatasetMismatch(f"column {twice!r} stands twice", pointer=f"#/{twice}")


def mapped_arrow(path: Path, flat: Flat) -> Any:
    """Return an Arrow file as a mapped table, also where it is compressed."""
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
        batches = (file.get_batch(number) for number in range(file.num_record_batches))
        return mapped(_checked(batches), flat, most_bytes(path)).replace_schema_metadata(
            file.schema.metadata
        )


def mapped_stream(path: Path, flat: Flat) -> Any:
    """Return an Arrow stream as a mapped table, also where it is compressed."""
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_stream(source) as stream:
        return mapped(_checked(stream), flat, most_bytes(path)).replace_schema_metadata(
            stream.schema.metadata
        )


def mapped(batches: Iterable[Any], flat: Flat, most: int) -> Any:
    """Write batches of rows to a file without a name and return it as a mapped table.

    Raises DatasetMismatch where they take more than `most` bytes, the disk is full, or the columns of a batch are other
    ones than before.
    """
    with tempfile.NamedTemporaryFile(prefix="table-") as file:
        try:
            _write(Path(file.name), batches, flat, most)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise DatasetMismatch(
                f"{tempfile.gettempdir()} is full: set TMPDIR to a larger disk", pointer="#/file"
            ) from error
        return pyarrow.ipc.open_stream(pa.memory_map(file.name)).read_all()


def _write(path: Path, batches: Iterable[Any], flat: Flat, most: int) -> None:
    rows = 0
    with ExitStack() as stack:
        writer = schema = None
        for batch in batches:
            table = _decoded(flat(pa.Table.from_batches([batch]), rows))
            if writer is None:
                schema = table.schema
                writer = stack.enter_context(pyarrow.ipc.new_stream(str(path), schema))
            if table.schema != schema:
                raise DatasetMismatch(
                    f"from row {rows} on lists have another length than above, or columns another type",
                    pointer=f"#/file/{rows}",
                )
            writer.write_table(table)
            rows += len(table)
            refuse_large(rows * table.num_columns, most)
    if not rows:
        raise DatasetMismatch("the table has no rows", pointer="#/file")


def _checked(batches: Iterable[Any]) -> Iterable[Any]:
    for batch in batches:
        batch.validate(full=True)
        yield batch


def _decoded(table: Any) -> Any:
    """Return a table with words in place of their numbers, which may mean others in the next batch."""
    fields = [
        one.with_type(one.type.value_type) if pa.types.is_dictionary(one.type) else one
        for one in table.schema
    ]
    return table.cast(pa.schema(fields))
