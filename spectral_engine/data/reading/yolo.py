"""YOLO's text labels: one file for each image, `class cx cy w h` on each line, in shares of the image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from pathlib import PurePosixPath

from spectral_engine.data.boxes import NUMBERS
from spectral_engine.data.reading.members import Members
from spectral_engine.errors import DatasetMismatch

MOST_BYTES = 2**20  # of one file
MOST_BOXES = 2000  # of one image
MOST_CLASS = 100_000
TOLERANCE = 0.01  # beyond the image's edge, from rounding
CLASS_NAMES = "classes.txt"  # as labelling tools write it beside the labels
Box = tuple[float, ...]


def label_files(names: Sequence[str]) -> list[str]:
    """Return which of these files are label files: texts in a folder `labels`."""
    return [
        name
        for name in names
        if name.endswith(".txt")
        and "labels" in PurePosixPath(name).parts[:-1]
        and PurePosixPath(name).name != CLASS_NAMES
    ]


def read_yolo(members: Members) -> tuple[list[str], list[list[Box]], tuple[str, ...] | None]:
    """Return the label files in the order of the rows, the boxes of each, and the names of classes, where told.

    Raises DatasetMismatch by file and line.
    """
    files = _in_order(label_files([*members.sizes]))
    boxes, names = boxes_by_file(members)
    return files, [boxes[name] for name in files], names


def boxes_by_file(members: Members) -> tuple[dict[str, list[Box]], tuple[str, ...] | None]:
    """Return the boxes of each label file, and the names of classes, where told.

    Raises DatasetMismatch by file and line.
    """
    boxes = {name: _boxes(_text(members, name), name) for name in label_files([*members.sizes])}
    names = _class_names(members)
    highest = max((int(box[0]) for row in boxes.values() for box in row), default=-1)
    if names is not None and highest >= len(names):
        raise DatasetMismatch(
            f"boxes have classes up to {highest}, and {CLASS_NAMES!r} names {len(names)}: add the others",
            pointer="#/file",
        )
    return boxes, names


def _in_order(files: list[str]) -> list[str]:
    """Sort files; numbers without leading zeros could be meant in two orders, which would shuffle the labels."""
    by_name = sorted(files)
    by_number = sorted(files, key=_natural)
    if by_name != by_number:
        index = next(i for i, name in enumerate(by_name) if name != by_number[i])
        raise DatasetMismatch(
            f"label files have another order by name ({by_name[index]!r} is number {index + 1}) than by number "
            f"({by_number[index]!r} is): name them with leading zeros, such as 000001.txt, in the order of the rows",
            pointer="#/file",
        )
    return by_name


def _natural(name: str) -> list[tuple[int, int | str]]:
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts if part]


def _text(members: Members, name: str) -> str:
    try:
        return members.read(name, MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong(name, None, f"it is no text in UTF-8 ({error.reason})") from error


def _boxes(text: str, name: str) -> list[Box]:
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1)]
    boxes = [_box(fields, name, number) for number, fields in lines if fields]
    if len(boxes) > MOST_BOXES:
        raise _wrong(
            name, None, f"it holds {len(boxes):,} boxes; at most {MOST_BOXES:,} an image are read"
        )
    return boxes


def _box(fields: list[str], name: str, line: int) -> Box:
    if len(fields) != NUMBERS:
        what = "an outline of a shape" if len(fields) > 6 and len(fields) % 2 else "something else"
        raise _wrong(
            name,
            line,
            f"it has {len(fields)} fields, which is {what}: write `class cx cy w h`, five numbers",
        )
    try:
        kind, *box = (float(field) for field in fields)
    except ValueError as error:
        raise _wrong(
            name, line, f"{' '.join(fields)[:60]!r} is not five numbers: `class cx cy w h`"
        ) from error
    if not 0 <= kind <= MOST_CLASS or kind != int(kind):
        raise _wrong(name, line, f"its class is {fields[0]}: classes are whole numbers from 0 on")
    if not all(isfinite(number) and -TOLERANCE <= number <= 1 + TOLERANCE for number in box):
        raise _wrong(
            name,
            line,
            f"{' '.join(fields[1:])!r} are no shares of the image: divide x and width by the image's width, y and "
            "height by its height",
        )
    if box[2] <= 0 or box[3] <= 0:
        raise _wrong(
            name, line, "the box has no width or no height: write `class cx cy w h`, or drop it"
        )
    return (kind, *box)


def _class_names(members: Members) -> tuple[str, ...] | None:
    files = [name for name in members.sizes if PurePosixPath(name).name == CLASS_NAMES]
    if len(files) != 1:
        return None
    names = tuple(line.strip() for line in _text(members, files[0]).splitlines() if line.strip())
    return names or None


def _wrong(name: str, line: int | None, said: str) -> DatasetMismatch:
    where = f"label file {name!r}" + (f", line {line}" if line else "")
    return DatasetMismatch(f"{where}: {said}", pointer=f"#/{name}" + (f"/{line}" if line else ""))
