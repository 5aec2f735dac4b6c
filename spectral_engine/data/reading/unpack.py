"""Files compressed as a whole: unpacked beside nothing, counted while they grow."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spectral_engine.data.allowance import ANY_FILE_BYTES, Allowance, most_allowed
from spectral_engine.data.reading.kind import kind_of
from spectral_engine.errors import DatasetMismatch

AT_ONCE = 2**20


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield the file itself, or a temporary one with what a gzip or zstd file holds.

    Raises DatasetMismatch where it holds more than is allowed, or is not whole.
    """
    kind = kind_of(path)
    if kind not in {"gzip", "zstd"}:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="data-") as folder:
        copy = Path(folder) / "data"
        _unpack(path, kind, copy)
        if kind_of(copy) in {"gzip", "zstd"}:
            raise DatasetMismatch("the file is compressed twice: unpack it once", pointer="#/file")
        yield copy


def _unpack(path: Path, kind: str, copy: Path) -> None:
    import pyarrow as pa

    allowed = Allowance(min(ANY_FILE_BYTES, most_allowed()))
    try:
        with pa.input_stream(str(path), compression=kind) as source, copy.open("wb") as target:
            while chunk := source.read(AT_ONCE):
                allowed.take(len(chunk), f"the {kind} file")
                target.write(chunk)
    except (pa.ArrowException, OSError, EOFError) as error:
        raise DatasetMismatch(f"the {kind} file is not whole: {error}", pointer="#/file") from error
    if allowed.taken == 0:
        raise DatasetMismatch("the file is empty", pointer="#/file")
