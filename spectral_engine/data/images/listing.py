"""Which images there are, of which part, and with which label: by folders, or by a table beside them."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.images.archive import Files, checked_names, is_image, shown
from spectral_engine.data.reading import columns
from spectral_engine.data.reading.arrays import PARTS
from spectral_engine.data.reading.table import USUAL_LABELS
from spectral_engine.data.reading.text import read_text_table
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
TABLES = {".csv", ".tsv", ".txt"}
MOST_NAMED = 3


@dataclass(frozen=True)
class Listed:
    """The images of one part, in order, and their labels where there are any."""

    names: list[str]
    labels: Array | None


def list_images(files: Files, label: str | None, notes: list[str]) -> dict[str, Listed]:
    """Return images by part, `""` for all of them together; raises DatasetMismatch by file or row."""
    names = checked_names(files)
    images = [name for name in names if is_image(name)]
    if not images:
        raise DatasetMismatch("there is no image in the data", pointer="#/file")
    tables = [name for name in names if PurePosixPath(name).suffix.lower() in TABLES]
    listed = _by_tables(files, images, tables, label, notes)
    if listed is None:
        listed = _by_folders(images, notes)
        tables = []
    unread = [name for name in names if not is_image(name) and name not in tables]
    if unread:
        notes.append(f"{_some(unread)} {_were(unread)} not read")
    return listed


def _by_folders(images: list[str], notes: list[str]) -> dict[str, Listed]:
    """One folder per class, in one folder per part where there are parts; the folders around them say nothing."""
    below = _without_common_folders([PurePosixPath(name).parts for name in images])
    parts: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    known = all(len(path) > 1 and path[0].lower() in PARTS for path in below)
    for name, path in zip(images, below, strict=True):
        part = PARTS[path[0].lower()] if known else ""
        parts.setdefault(part, []).append((name, path[1:] if known else path))
    loose = [name for rows in parts.values() for name, path in rows if len(path) == 1]
    if len(loose) == len(images):
        notes.append("no folders of classes: the images have no labels")
        return {part: Listed([name for name, _ in rows], None) for part, rows in parts.items()}
    if loose:
        raise DatasetMismatch(
            f"{_some(loose)} {_lies(loose)} outside of the folders of classes: move or remove {_them(loose)}",
            pointer="#/file",
        )
    if "train" not in parts and known:
        raise DatasetMismatch(
            f"there is no folder of images to train on, only {', '.join(sorted(parts))}: add train/",
            pointer="#/file",
        )
    return {
        part: Listed([name for name, _ in rows], np.asarray([path[0] for _, path in rows]))
        for part, rows in parts.items()
    }


def _without_common_folders(paths: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Strip the folders that all images share."""
    while all(len(path) > 1 for path in paths) and len({path[0] for path in paths}) == 1:
        paths = [path[1:] for path in paths]
    return paths


def _by_tables(
    files: Files, images: list[str], tables: list[str], label: str | None, notes: list[str]
) -> dict[str, Listed] | None:
    """Read the tables that name images; None where none does."""
    book = _Book(images)
    found: dict[str, Listed] = {}
    for table in tables:
        part = PARTS.get(PurePosixPath(table).stem.lower().split("_")[0], "")
        listed = _read_table(files, table, book, label, notes)
        if listed is None:
            continue
        if part in found:
            raise DatasetMismatch(
                f"{shown(table)} and another table list the same part: keep one", pointer="#/file"
            )
        found[part] = listed
    if not found:
        return None
    left = set(images) - {name for listed in found.values() for name in listed.names}
    if left:
        notes.append(
            f"{_some(sorted(left))} {_stand(left)} in no table, and {_were(left)} left out"
        )
    return found


class _Book:
    """Finds an image by what a table calls it: its path, its end, with or without what follows the last dot."""

    def __init__(self, images: list[str]) -> None:
        ends: dict[str, set[str]] = {}
        for name in images:
            parts = PurePosixPath(name).with_suffix("").parts
            suffix = PurePosixPath(name).suffix
            for start in range(len(parts)):
                end = "/".join(parts[start:])
                for written in (end, end + suffix):
                    ends.setdefault(written, set()).add(name)
        self._ends = ends

    def find(self, written: object) -> set[str]:
        """Return the images that may be meant."""
        text = str(written).strip().replace("\\", "/").removeprefix("./")
        return self._ends.get(text, set())


def _read_table(
    files: Files, name: str, book: _Book, label: str | None, notes: list[str]
) -> Listed | None:
    own: list[str] = []
    with tempfile.TemporaryDirectory(prefix="data-") as folder:
        copy = Path(folder) / "table"
        copy.write_bytes(files.read(name))
        if copy.stat().st_size == 0:
            return None
        try:
            table = read_text_table(copy, own)
        except DatasetMismatch:
            return None  # a text that is no table
    rows = {title: table.column(title).to_pylist() for title in table.column_names}
    known = {title: sum(bool(book.find(v)) for v in values) for title, values in rows.items()}
    naming = max(known, key=lambda title: known[title], default=None)
    headless = any(book.find(title) for title in rows)
    if naming is None or (known[naming] == 0 and not headless):
        return None
    first = 1 if naming.startswith("column_") else 2  # its line: a header stands before it
    notes += own
    found = [_only(book, value, row, name) for row, value in enumerate(rows[naming], first)]
    target = _label_column([title for title in rows if title != naming], label, name)
    labels = None if target is None else columns.labels(table.column(target), target)
    if headless:
        found.insert(0, _only(book, naming, 1, name))
        if labels is not None:
            labels = np.concatenate([np.asarray([target]).astype(labels.dtype), labels])
    notes.append(
        f"images are listed in {shown(name)}"
        + ("" if target is None or headless else f", their labels in column {target!r}")
    )
    twice = [image for image, count in Counter(found).items() if count > 1]
    if twice:
        raise DatasetMismatch(
            f"{shown(name)} names {_some(twice)} more than once", pointer="#/file"
        )
    return Listed(found, labels)


def _only(book: _Book, written: object, row: int, table: str) -> str:
    found = book.find(written)
    if len(found) == 1:
        return next(iter(found))
    said = "no image" if not found else f"{len(found)} images"
    raise DatasetMismatch(
        f"line {row} of {shown(table)} names {shown(str(written))!r}, and {said} of that name "
        f"{'is' if not found else 'are'} there",
        pointer=f"#/file/{row}",
    )


def _label_column(titles: list[str], label: str | None, table: str) -> str | None:
    if label is not None:
        if label not in titles:
            raise DatasetMismatch(
                f"there is no column {label!r} in {shown(table)}; the columns are {', '.join(titles)}",
                pointer="#/label",
            )
        return label
    usual = [title for title in titles if title.lower() in USUAL_LABELS]
    if len(titles) > 1 and not usual:
        raise DatasetMismatch(
            f"{shown(table)} has columns {', '.join(titles)}: say which holds the labels (label)",
            pointer="#/label",
        )
    return next(iter(usual or titles), None)


def _some(names: list[str] | set[str]) -> str:
    """Return the first names, and how many there are."""
    listed = sorted(names)
    said = ", ".join(shown(name) for name in listed[:MOST_NAMED])
    more = len(listed) - MOST_NAMED
    return said if more <= 0 else f"{said} and {more:,} more"


def _were(names: list[str] | set[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _stand(names: list[str] | set[str]) -> str:
    return "stands" if len(names) == 1 else "stand"


def _lies(names: list[str] | set[str]) -> str:
    return "lies" if len(names) == 1 else "lie"


def _them(names: list[str] | set[str]) -> str:
    return "it" if len(names) == 1 else "them"
