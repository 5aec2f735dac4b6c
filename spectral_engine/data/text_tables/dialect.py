"""How a text table is written: separator, decimal sign, what stands above and between its rows, and its header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from spectral_engine.data.text_tables.encoding import LOOKED_AT, encoding_of, holds_beyond
from spectral_engine.data.text_tables.number_texts import is_number
from spectral_engine.errors import DatasetMismatch

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
LINES = 200
MOST_ABOVE = 100  # lines of titles and comments
COMMENT = "#"
DECLARED = "sep="  # as Excel writes a separator into the first line
ALIKE = 0.9  # share of lines that blanks must cut into as many cells
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
COMMA_NUMBER = re.compile(r"[+-]?(\d+,\d+|,\d+)([eE][+-]?\d+)?$")
CLEARLY = 0.25  # more numbers than any other separator makes


@dataclass(frozen=True)
class Dialect:
    """How to read a table of text.

    `above` lines stand over the header; `names` are the columns where the first line does not say them as it stands.
    Rows may end in a separator that the header does not have, and begin with a name that it does not (`row_names`).
    """

    encoding: str
    separator: str
    decimal: str
    header: bool
    columns: int
    above: int = 0
    comments: bool = False
    names: tuple[str, ...] | None = None
    row_names: bool = False
    notes: tuple[str, ...] = ()

    @property
    def cleaned(self) -> bool:
        """Say whether rows have to be written anew before a reader of CSV takes them."""
        return self.separator == " " or self.comments


def dialect_of(path: Path) -> Dialect:
    """Look at the beginning of a file; raises DatasetMismatch where it is no text."""
    with path.open("rb") as file:
        start = file.read(LOOKED_AT)
        cut = bool(file.read(1))
    encoding = encoding_of(path, start)
    text = start.decode(encoding, errors="ignore" if cut else "replace")
    if "\0" in text:
        raise DatasetMismatch(
            "the file is no text, and of no kind that is known: give an .npz, .csv, .parquet or Arrow file",
            pointer="#/file",
        )
    every = lines_of(text)
    if cut and len(every) > 1:
        every = every[:-1]
    if not any(line.strip() for line in every):
        raise DatasetMismatch("the table has no rows", pointer="#/file")
    beyond = cut and any(holds_beyond(path, encoding, end + COMMENT) for end in "\n\r")
    try:
        dialect = _layout(every[: LINES + MOST_ABOVE], beyond=beyond)
    except csv.Error as error:
        raise DatasetMismatch(f"the file is not a table: {error}", pointer="#/file") from error
    return replace(dialect, encoding=encoding, notes=_notes(dialect, encoding, every))


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, whatever ends them."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def cells_of(line: str, separator: str) -> list[str]:
    """Return the cells of one line; blanks count as one where they separate."""
    if separator == " ":
        line = line.replace("\t", " ").strip()
    return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])


def _layout(every: list[str], *, beyond: bool) -> Dialect:
    """Find separator, comments and titles, and then the header of what is left; `beyond`: more comments may follow."""
    declared = _declared(every[0])
    lines = [line for line in every if line.strip()][declared is not None :]
    if not lines:
        raise DatasetMismatch("the table has no rows", pointer="#/file")
    plain = [line for line in lines if not line.lstrip().startswith(COMMENT)]
    if len(plain) < len(lines) / 2:
        plain = lines  # the mark belongs to the rows
    separator = declared or _separator(plain[:LINES])
    columns = _columns(plain[:LINES], separator)
    rows = plain if separator == " " else _without_comments(lines, separator, columns)
    kept = rows[_first(rows, separator, columns) :] or lines
    body = _rows(kept[:LINES], separator)
    above = every.index(kept[0], int(declared is not None))
    comments = beyond or len([line for line in every[above:] if line.strip()]) > len(kept)
    dialect = Dialect(
        "", separator, _decimal(body, separator), _has_header(body), len(body[0]), above, comments
    )
    if (names := _commented_header(every[:above], dialect)) is not None:
        return replace(dialect, names=names)
    return _named(dialect, body)


def _without_comments(lines: list[str], separator: str, columns: int) -> list[str]:
    return [line for line in lines if not is_comment(line, separator, columns)]


def is_comment(line: str, separator: str, columns: int) -> bool:
    """Say whether a line is a comment: it begins with the mark, and has not as many cells as a row."""
    if not line.lstrip().startswith(COMMENT):
        return False
    return separator == " " or len(cells_of(line, separator)) != columns


def _declared(line: str) -> str | None:
    """Return the separator that a first line `sep=;` declares."""
    said = line.strip().strip('"')
    if not said.lower().startswith(DECLARED):
        return None
    sign = line.strip("\r\n").strip('"')[len(DECLARED) :][:1]
    return sign if sign in SEPARATORS else None


def _separator(lines: list[str]) -> str:
    """Return the sign that cuts the lines most alike; blanks only where they make clearly more of them."""
    fits = {sign: _fit(lines, sign) for sign in SEPARATORS}
    blanks = fits.pop(" ")
    best = max(fits, key=lambda sign: fits[sign])
    alike, numeric, columns = fits[best]
    better = blanks[1] > numeric + CLEARLY or (alike < ALIKE and blanks[1] >= numeric)
    fitting = blanks[2] > 1 and blanks[0] >= ALIKE
    return " " if fitting and (columns < 2 or better) else best


def _fit(lines: list[str], separator: str) -> tuple[float, float, int]:
    """Return how well a separator cuts these lines: how alike, how many numbers that makes, how many columns."""
    try:
        rows = _rows(lines, separator)
    except csv.Error:  # a line of one cell that is longer than any
        return (0.0, 0.0, 1)
    rows = rows[1:] or rows  # the header may have one cell less
    counts = Counter(len(row) for row in rows)
    columns, often = counts.most_common(1)[0]
    if columns < 2:
        return (0.0, 0.0, 1)
    cells = [cell.strip() for row in rows for cell in row]
    numeric = sum(is_number(cell) for cell in cells)
    return (often / len(rows), numeric / max(1, len(cells)), columns)


def _rows(lines: list[str], separator: str) -> list[list[str]]:
    """Return the cells of lines that belong together: a cell in quotes may go over several."""
    if separator == " ":
        lines = [line.replace("\t", " ").strip() for line in lines]
    return list(csv.reader(lines, delimiter=separator, skipinitialspace=True)) or [[]]


def _columns(lines: list[str], separator: str) -> int:
    """Return how many cells most lines have."""
    return Counter(len(row) for row in _rows(lines, separator)).most_common(1)[0][0]


def _first(rows: list[str], separator: str, columns: int) -> int:
    """Return which line is the first of the table: words over it, in half as many cells or fewer, are titles."""
    if columns < 2:
        return 0
    for index, line in enumerate(rows[:MOST_ABOVE]):
        if '"' in line and line.count('"') % 2:
            return index  # a cell that goes on in the next line
        cells = cells_of(line, separator)
        filled = sum(bool(cell.strip()) for cell in cells)
        if len(cells) > 1 and (columns < 3 or filled >= max(2, columns / 2)):
            return index
        if _of_numbers(line):
            return 0
    return 0


def _of_numbers(line: str) -> bool:
    """Say whether a line holds more numbers than words, as rows do and titles do not."""
    words = re.split(r"[\s,;|]+", line.strip())
    numbers = sum(map(is_number, words))
    return numbers > 1 and numbers >= len(words) / 2


def _decimal(rows: list[list[str]], separator: str) -> str:
    if separator == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    with_comma = sum(bool(COMMA_NUMBER.match(cell)) for cell in cells)
    with_point = sum(bool(NUMBER.match(cell)) and "." in cell for cell in cells)
    return "," if with_comma > with_point else "."


def _has_header(rows: list[list[str]]) -> bool:
    """Say whether the first line names columns: it does not where it holds numbers as the next ones do."""
    if len(rows) < 2:
        return True
    first, second = ([is_number(cell) for cell in row] for row in rows[:2])
    return not (any(first) and sum(first) >= sum(second))


def _commented_header(above: list[str], dialect: Dialect) -> tuple[str, ...] | None:
    """Return the names in the last comment over rows that have none, as numpy.savetxt writes them."""
    last = next((line for line in reversed(above) if line.strip()), "").lstrip()
    if dialect.header or not last.startswith(COMMENT):
        return None
    names = [cell.strip() for cell in cells_of(last.lstrip(COMMENT).strip(), dialect.separator)]
    return (
        tuple(names) if len(names) == dialect.columns and not any(map(is_number, names)) else None
    )


def _named(dialect: Dialect, body: list[list[str]]) -> Dialect:
    """Give names to columns that the first line does not name: all, or the one that rows have more."""
    if not dialect.header:
        numbered = tuple(f"column_{index}" for index in range(dialect.columns))
        return replace(dialect, names=dialect.names or numbered)
    names = [cell.strip() for cell in body[0]]
    more = [row for row in body[1:] if len(row) == len(names) + 1]
    if not body[1:] or len(more) < len(body[1:]) / 2:
        return dialect
    if all(not row[-1].strip() for row in more):
        return replace(dialect, names=(*names, ""))
    return replace(dialect, names=("", *names), row_names=True)


def _notes(dialect: Dialect, encoding: str, lines: list[str]) -> tuple[str, ...]:
    """What is not as in a usual CSV file, in words."""
    said = []
    if encoding not in {"utf-8", "utf-8-sig"}:
        said.append(f"the file is read as {encoding}")
    if dialect.separator != ",":
        said.append(f"columns are separated by {SEPARATORS[dialect.separator]}")
    if dialect.decimal != ".":
        said.append("decimals are written with commas")
    if any(line.strip() for line in lines[: dialect.above]):
        said.append(
            f"the table begins in line {dialect.above + 1}; what stands above it is not read"
        )
    if dialect.comments:
        said.append(f"lines that begin with {COMMENT} and are no rows are not read")
    if dialect.row_names:
        said.append(
            "the header has one column less than the rows: the first holds names of rows, and is left out"
        )
    if not dialect.header and dialect.names is not None and dialect.names[0] == "column_0":
        said.append("the first line holds numbers: columns are called column_0, column_1, …")
    return tuple(said)
