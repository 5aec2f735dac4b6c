"""Tables larger than what is held in memory: converted once, batch by batch, to Arrow files that are mapped."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet

from spectral_engine.data.allowance import Allowance, most_bytes
from spectral_engine.data.reading.columns import has_lengths
from spectral_engine.errors import DatasetMismatch

COLUMNS_AT_ONCE = 32  # of a Parquet file: a page of each is unpacked at the same time
BATCH_BYTES = 2**24
BYTES_PER_VALUE = 8
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


def _written_out(chunk: Any) -> int:
    """Return the bytes of a piece of a column with its words written out."""
    if not pa.types.is_dictionary(chunk.type):
        return int(chunk.nbytes)
    if not has_lengths(chunk.type.value_type):
        return len(chunk) * BYTES_PER_VALUE
    lengths = pc.fill_null(pc.take(pc.binary_length(chunk.dictionary), chunk.indices), 0)
    return int(pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0)


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
        return mapped(checked(batches), flat, most_bytes(path)).replace_schema_metadata(
            file.schema.metadata
        )


def mapped_stream(path: Path, flat: Flat) -> Any:
    """Return an Arrow stream as a mapped table, also where it is compressed."""
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_stream(source) as stream:
        return mapped(checked(stream), flat, most_bytes(path)).replace_schema_metadata(
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
    allowed = Allowance(most)
    with ExitStack() as stack:
        writer = schema = None
        for batch in batches:
            table = decoded(flat(pa.Table.from_batches([batch]), rows), allowed)
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


def checked(batches: Iterable[Any]) -> Iterable[Any]:
    """Yield batches of which each is sound. Raises pyarrow's errors."""
    for batch in batches:
        batch.validate(full=True)
        yield batch


def decoded(table: Any, allowed: Allowance) -> Any:
    """Return a table with words in place of their numbers, which may mean others in the next batch.

    Raises DatasetMismatch where the words, each of which many rows may share, would take more than is allowed.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        for chunk in column.chunks:
            allowed.take(_written_out(chunk), f"column {name!r}", f"#/{name}")
    fields = [
        one.with_type(one.type.value_type) if pa.types.is_dictionary(one.type) else one
        for one in table.schema
    ]
    return table.cast(pa.schema(fields))
