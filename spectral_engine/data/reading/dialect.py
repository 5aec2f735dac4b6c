"""How a text table is written: encoding, separator, decimal sign, whether its first line is a header."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import charset_normalizer

from spectral_engine.errors import DatasetMismatch

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
LOOKED_AT = 2**20  # bytes that encoding and separator are told from
LINES = 200
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
COMMA_NUMBER = re.compile(r"[+-]?(\d+,\d+|,\d+)([eE][+-]?\d+)?$")


@dataclass(frozen=True)
class Dialect:
    """How to read a table of text."""

    encoding: str
    separator: str
    decimal: str
    header: bool
    columns: int

    @property
    def notes(self) -> list[str]:
        """What is not as in a usual CSV file, in words."""
        found = []
        if self.encoding not in {"utf-8", "utf-8-sig"}:
            found.append(f"the file is read as {self.encoding}")
        if self.separator != ",":
            found.append(f"columns are separated by {SEPARATORS[self.separator]}")
        if self.decimal != ".":
            found.append("decimals are written with commas")
        if not self.header:
            found.append("the first line holds numbers: columns are called column_0, column_1, …")
        return found


def dialect_of(path: Path) -> Dialect:
    """Look at the beginning of a file; raises DatasetMismatch where it is no text."""
    with path.open("rb") as file:
        start = file.read(LOOKED_AT)
        cut = bool(file.read(1))
    encoding = _encoding(path, start)
    text = start.decode(encoding, errors="ignore" if cut else "replace")
    if "\0" in text:
        raise DatasetMismatch(
            "the file is no text, and of no kind that is known: give an .npz, .csv, .parquet or Arrow file",
            pointer="#/file",
        )
    lines = [line for line in text.splitlines() if line.strip()][:LINES]
    if cut and len(lines) > 1 and len(lines) < LINES:
        lines = lines[:-1]
    if not lines:
        raise DatasetMismatch("the table has no rows", pointer="#/file")
    separator = max(SEPARATORS, key=lambda sign: _fit(lines, sign))
    rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    decimal = _decimal(rows, separator)
    return Dialect(encoding, separator, decimal, _has_header(rows, decimal), len(rows[0]))


def _encoding(path: Path, start: bytes) -> str:
    for mark, encoding in BOMS:
        if start.startswith(mark):
            return encoding
    if start[1::2].count(0) > len(start) // 4:
        return "utf-16-le"
    if start[::2].count(0) > len(start) // 4:
        return "utf-16-be"
    if _is_utf8(path):
        return "utf-8"
    return _eight_bit(start)


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(LOOKED_AT):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _eight_bit(start: bytes) -> str:
    """Return the likeliest code page: that of Western Europe unless another one is clearly better."""
    best = charset_normalizer.from_bytes(start[:65_536]).best()
    found = "cp1252" if best is None else best.encoding
    western = {"cp1250", "cp1252", "latin_1", "iso8859_1", "iso8859_15", "cp437", "cp850", "cp858"}
    if found in western or len([b for b in start if b > 127]) < 20:
        try:
            start.decode("cp1252")
        except UnicodeDecodeError:
            return "latin-1"
        return "cp1252"
    return found


def _fit(lines: list[str], separator: str) -> tuple[float, float, int]:
    """Return how well a separator cuts these lines: how alike, how many numbers that makes, how many columns."""
    rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    counts = Counter(len(row) for row in rows)
    columns, often = counts.most_common(1)[0]
    if columns < 2:
        return (0.0, 0.0, 1)
    cells = [cell.strip() for row in rows[1:] or rows for cell in row]
    numeric = sum(bool(NUMBER.match(c)) or bool(COMMA_NUMBER.match(c)) for c in cells)
    return (often / len(rows), numeric / max(1, len(cells)), columns)


def _decimal(rows: list[list[str]], separator: str) -> str:
    if separator == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    with_comma = sum(bool(COMMA_NUMBER.match(cell)) for cell in cells)
    with_point = sum(bool(NUMBER.match(cell)) and "." in cell for cell in cells)
    return "," if with_comma > with_point else "."


def _has_header(rows: list[list[str]], decimal: str) -> bool:
    """Say whether the first line names columns: it does not where it holds numbers as the next ones do."""

    def numeric(cell: str) -> bool:
        cell = cell.strip()
        return bool((COMMA_NUMBER if decimal == "," and "," in cell else NUMBER).match(cell))

    if len(rows) < 2:
        return True
    first, second = [numeric(c) for c in rows[0]], [numeric(c) for c in rows[1]]
    return not (any(first) and sum(first) >= sum(second))
