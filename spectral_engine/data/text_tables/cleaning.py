"""A text table without comments, and with one separator for blanks: written anew only where a file needs it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from spectral_engine.data.text_tables.dialect import Dialect, cells_of, is_comment

QUOTE = '"'


@contextmanager
def cleaned(path: Path, dialect: Dialect) -> Iterator[tuple[Path, Dialect]]:
    """Yield a file and its dialect that any reader of CSV takes: the file itself, or a temporary copy."""
    if not dialect.cleaned:
        yield path, dialect
        return
    separator = "\t" if dialect.separator == " " else dialect.separator
    plain = replace(dialect, encoding="utf-8", separator=separator, above=0, comments=False)
    with tempfile.TemporaryDirectory(prefix="table-") as folder:
        copy = Path(folder) / "table"
        with path.open(encoding=dialect.encoding) as source, copy.open("w", encoding="utf-8") as to:
            to.writelines(rows_only(source, dialect))
        yield copy, plain


def rows_only(lines: Iterable[str], dialect: Dialect) -> Iterator[str]:
    """Yield the lines of the table from its header on, without comments, separated as CSV is."""
    inside = False  # of a cell in quotes, which may go over several lines
    for number, line in enumerate(lines):
        if number < dialect.above:
            continue
        if not inside and is_comment(line, dialect.separator, dialect.columns):
            continue
        if dialect.separator == " ":
            yield _separated(line)
            continue
        inside ^= line.count(QUOTE) % 2 == 1
        yield line


def _separated(line: str) -> str:
    """Return a line of cells between blanks with tabs between them."""
    cells = cells_of(line, " ")
    return "\t".join(map(_quoted, cells)) + "\n"


def _quoted(cell: str) -> str:
    if not any(sign in cell for sign in (QUOTE, "\t", "\n", "\r")):
        return cell
    return QUOTE + cell.replace(QUOTE, QUOTE * 2) + QUOTE
