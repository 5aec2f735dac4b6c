"""A table of names and labels beside the images: its columns are told by what they hold."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.images.container import Container
from spectral_engine.data.images.names import is_image, is_table, listed, pointer_to
from spectral_engine.data.images.one_hot import one_hot
from spectral_engine.data.part_names import PART_HEADERS, PARTS
from spectral_engine.data.text_tables.cleaning import rows_only
from spectral_engine.data.text_tables.dialect import NUMBER, dialect_of
from spectral_engine.errors import DatasetMismatch

NAME_HEADERS = frozenset(
    ("filename", "file_name", "file", "files", "name", "image", "images", "image_name", "imagename", "image_path",
     "imagepath", "image_id", "imageid", "img", "img_name", "img_path", "path", "filepath", "file_path", "id")
)  # fmt: skip
LABEL_HEADERS = (
    "label", "labels", "class", "class_name", "classname", "category", "target", "y", "class_id", "label_name",
    "label_id", "classes", "tag",
)  # fmt: skip
MOST_DIGITS = 30  # of a number that is a name


@dataclass(frozen=True)
class Listing:
    """Images with their labels, in the order of the tables; parts are `""` where none is given."""

    tables: list[str]
    column: str
    names: list[str]
    labels: NDArray[Any]
    parts: list[str]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Table:
    """The text of one table."""

    name: str
    header: list[str]
    rows: list[list[str]]


class Finder:
    """Finds the image that a table means, by its whole name or by as little as its stem."""

    def __init__(self, images: Sequence[str]) -> None:
        self._images = set(images)
        self._by_end: dict[str, list[str]] = {}
        self._by_plain_end: dict[str, list[str]] = {}
        self._by_number: dict[int, list[str]] = {}
        for image in images:
            path = PurePosixPath(image)
            for end in {path.name, path.stem}:
                self._by_end.setdefault(end, []).append(image)
                self._by_plain_end.setdefault(end.casefold(), []).append(image)
            if path.stem.isdecimal():
                self._by_number.setdefault(int(path.stem[:MOST_DIGITS]), []).append(image)

    def find(self, written: str, folder: str, *, numbers: bool = True) -> list[str]:
        """Return the images that may be meant: none, one, or several that share their last name, or its number."""
        name = written.strip().replace("\\", "/").removeprefix("./").lstrip("/")
        for whole in (folder + name, name):
            if whole in self._images:
                return [whole]
        last = PurePosixPath(name).name
        matches = self._by_end.get(last) or self._by_plain_end.get(last.casefold(), [])
        if numbers and not matches and last.isdecimal():
            return self._by_number.get(int(last[:MOST_DIGITS]), [])
        if len(matches) > 1 and (
            longer := [one for one in matches if f"/{one}".endswith(f"/{name}")]
        ):
            return longer
        return matches


def listing_in(
    container: Container, tables: Sequence[str], images: Sequence[str], label: str | None
) -> Listing | None:
    """Return what the tables say of images, or None where none names any.

    Raises DatasetMismatch by table and row: for images that are not there, labels that are missing, and tables that
    contradict each other.
    """
    finder = Finder(images)
    listings = []
    for name in tables:
        table = _read(container, name) if is_table(name) else _read_text(container, name)
        if table is not None and (one := _listing(table, finder, label)):
            listings.append(one)
    if not listings:
        return None
    parts = [PARTS.get(_stem_part(one.tables[0]), "") for one in listings]
    if len(listings) > 1 and ("" in parts or len({one.column for one in listings}) > 1):
        raise DatasetMismatch(
            f"{listed([one.tables[0] for one in listings])} all name images: keep one table, or call them train.csv, "
            "val.csv and test.csv",
            pointer=pointer_to(listings[1].tables[0]),
        )
    return _joined(listings, parts if len(listings) > 1 else [""])


def _stem_part(table: str) -> str:
    words = PurePosixPath(table).stem.lower().replace("-", "_").split("_")
    return next((word for word in words if word in PARTS), "")


def _joined(listings: list[Listing], parts: list[str]) -> Listing:
    labels = typed([str(label) for one in listings for label in one.labels])
    names = [name for one in listings for name in one.names]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DatasetMismatch(
            f"several tables name {listed(twice)}", pointer=pointer_to(listings[1].tables[0])
        )
    return Listing(
        tables=[table for one in listings for table in one.tables],
        column=listings[0].column,
        names=names,
        labels=labels,
        parts=[
            row_part or part
            for one, part in zip(listings, parts, strict=True)
            for row_part in one.parts
        ],
        notes=list(dict.fromkeys(note for one in listings for note in one.notes)),
    )


def _read_text(container: Container, name: str) -> _Table | None:
    """Return what a text may list, or None where it is no table: most texts are none."""
    try:
        return _read(container, name)
    except DatasetMismatch:
        return None


def _read(container: Container, name: str) -> _Table | None:
    with tempfile.TemporaryDirectory(prefix="table-") as folder:
        copy = Path(folder) / "table"
        copy.write_bytes(container.read(name))
        if copy.stat().st_size == 0:
            return None
        try:
            dialect = dialect_of(copy)
            text = copy.read_text(dialect.encoding, errors="strict")
        except DatasetMismatch as error:
            raise DatasetMismatch(f"{name!r}: {error.detail}", pointer=pointer_to(name)) from error
        except (UnicodeError, LookupError) as error:
            raise DatasetMismatch(
                f"{name!r} is no text: {error}", pointer=pointer_to(name)
            ) from error
    separator = "\t" if dialect.separator == " " else dialect.separator
    lines = rows_only(io.StringIO(text, newline=None), dialect)
    try:
        rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise DatasetMismatch(f"{name!r} is no table: {error}", pointer=pointer_to(name)) from error
    rows = [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
    return _Table(name, rows[0], rows[1:]) if rows and len(rows[0]) > 1 else None


def _listing(table: _Table, finder: Finder, label: str | None) -> Listing | None:
    folder = table.name[: table.name.rfind("/") + 1]
    table, column_of_names = _headed(table, finder, folder)
    if column_of_names is None:
        return None
    column = _label_column(table, column_of_names, label)
    if column is None and (
        hot := one_hot(table.header, table.rows, _others(table, column_of_names))
    ):
        table = _Table(table.name, [*table.header, hot.name], hot.rows)
        column = len(table.header) - 1
    if column is None:
        return None
    part = next((n for n, head in enumerate(table.header) if head.lower() in PART_HEADERS), None)
    names: dict[str, tuple[str, str, int]] = {}
    for number, row in enumerate(table.rows):
        name = _image_named(table, number, _cell(row, column_of_names), finder, folder)
        value = _cell(row, column)
        if not value:
            raise _wrong(table, number, "has no label")
        earlier = names.get(name)
        if earlier is not None and earlier[0] != value:
            raise _wrong(
                table,
                number,
                f"gives {name!r} the label {value!r}, and row {earlier[2]} {earlier[0]!r}",
            )
        names.setdefault(name, (value, _part_of(table, number, row, part), number))
    values = [value for value, _, _ in names.values()]
    parts = [row_part for _, row_part, _ in names.values()]
    return Listing(
        [table.name],
        table.header[column],
        [*names],
        np.asarray(values),
        parts,
        _notes(table, len(names), column),
    )


def _notes(table: _Table, images: int, column: int) -> list[str]:
    notes = [f"labels are column {table.header[column]!r} of {table.name!r}"]
    if images < len(table.rows):
        notes.append(f"{len(table.rows) - images:,} rows of {table.name!r} name an image again")
    return notes


def _headed(table: _Table, finder: Finder, folder: str) -> tuple[_Table, int | None]:
    """Say which column names images, and give columns names where the first line is no header."""
    every = [table.header, *table.rows]
    hits = _hits(every, finder, folder, numbers=False)
    if not any(hits):
        hits = _hits(every, finder, folder, numbers=True)
    best = int(np.argmax(hits))
    if hits[best] == 0:
        known = [n for n, head in enumerate(table.header) if head.lower() in NAME_HEADERS]
        names = [
            n
            for n in range(len(table.header))
            if any(is_image(_cell(row, n)) for row in every[:20])
        ]
        if not names or (known and not set(known) & set(names)):
            return table, None
        best = names[0]
    first = table.header[best]
    if is_image(first) or finder.find(first, folder):
        width = len(table.header)
        return _Table(table.name, [f"column_{n}" for n in range(width)], every), best
    return table, best


def _hits(rows: list[list[str]], finder: Finder, folder: str, *, numbers: bool) -> list[int]:
    """Return how many images each column names, by their names or by numbers that stand for them."""
    return [
        len(
            {
                matches[0]
                for row in rows
                if (written := _cell(row, column))
                and (matches := finder.find(written, folder, numbers=numbers))
            }
        )
        for column in range(len(rows[0]))
    ]


def _label_column(table: _Table, names: int, asked: str | None) -> int | None:
    if asked is not None:
        if asked not in table.header:
            raise DatasetMismatch(
                f"{table.name!r} has no column {asked!r}; its columns are {', '.join(table.header[:20])}",
                pointer="#/label",
            )
        return table.header.index(asked)
    heads = [head.lower() for head in table.header]
    usual = next((heads.index(name) for name in LABEL_HEADERS if name in heads), None)
    others = _others(table, names)
    if usual is not None and usual != names:
        return usual
    if len(others) == 1:
        return others[0]
    # A table of something else, as sizes or sources of the images.
    return None


def _others(table: _Table, names: int) -> list[int]:
    """Return the columns that say neither which image it is nor to which part it belongs."""
    return [
        n for n, head in enumerate(table.header) if n != names and head.lower() not in PART_HEADERS
    ]


def _image_named(table: _Table, number: int, written: str, finder: Finder, folder: str) -> str:
    if not written:
        raise _wrong(table, number, "names no image")
    matches = finder.find(written, folder)
    if not matches:
        raise _wrong(table, number, f"names {written!r}, and there is no such image")
    if len(matches) > 1:
        raise _wrong(table, number, f"names {written!r}, which may be {listed(matches)}")
    return matches[0]


def _part_of(table: _Table, number: int, row: list[str], column: int | None) -> str:
    if column is None or not _cell(row, column):
        return ""
    written = _cell(row, column)
    if written.lower() not in PARTS:
        raise _wrong(table, number, f"gives the part {written!r}: train, val and test are known")
    return PARTS[written.lower()]


def _cell(row: list[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _wrong(table: _Table, number: int, what: str) -> DatasetMismatch:
    return DatasetMismatch(
        f"row {number} of {table.name!r} {what}", pointer=pointer_to(table.name, number)
    )


def typed(values: list[str]) -> NDArray[Any]:
    """Return labels as integers or numbers where all of them are, and as texts otherwise."""
    if all(re.fullmatch(r"[+-]?\d{1,18}", value) for value in values):
        return np.asarray([int(value) for value in values])
    if all(NUMBER.match(value) for value in values):
        return np.asarray([float(value) for value in values])
    return np.asarray(values)
