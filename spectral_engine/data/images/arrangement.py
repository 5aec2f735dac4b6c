"""Which images there are, of which class and part: by folders, or by a table of names and labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.images.container import Container
from spectral_engine.data.images.listing import Listing, listing_in
from spectral_engine.data.images.names import is_image, is_table, listed, nobody_means, pointer_to
from spectral_engine.data.part_names import PARTS
from spectral_engine.errors import DatasetMismatch

Labels = NDArray[Any]
HOW = (
    "one folder per class, or one folder of images with a CSV of names and labels, or images alone"
)
MOST_TEXTS = 9  # files that may list labels: where there are more, each is of one image
LABELLING = re.compile(r"label|class|annotation|target|truth|categor", re.IGNORECASE)
WITH_LABELS = "folders of several classes, or a CSV of names and labels, would give some"


@dataclass(frozen=True)
class Arrangement:
    """Images by name with their labels, where there are any, and the part of each (`""` where rows are to be split)."""

    names: list[str]
    labels: Labels | None
    parts: list[str]
    column: str | None = None  # of the table that holds the labels
    notes: list[str] = field(default_factory=list)

    def of_part(self, part: str) -> NDArray[np.int64]:
        """Return which images belong to a part."""
        return np.flatnonzero(np.asarray(self.parts) == part)


def arrange(container: Container, label: str | None) -> Arrangement:
    """Say what the images are; `label` names the table's column. Raises DatasetMismatch by file and row."""
    notes: list[str] = []
    files = _meant(container, notes)
    images = [name for name in files if is_image(name)]
    if not images:
        contents = f"; it holds {listed(files)}" if files else ""
        raise DatasetMismatch(f"there are no images{contents}: give {HOW}", pointer="#/file")
    texts = [name for name in files if PurePosixPath(name).suffix.lower() == ".txt"]
    tables = [name for name in files if is_table(name)]
    tables += texts if len(texts) <= MOST_TEXTS else []
    listing = listing_in(container, tables, images, label)
    read = set(images) | (set(listing.tables) if listing else set())
    if others := [name for name in files if name not in read]:
        notes.append(f"files that are no images are not read: {listed(others)}")
    top = _common_top([*images, *(listing.tables if listing else ())], listed_images=bool(listing))
    if listing is None and label is not None:
        raise DatasetMismatch(
            f"no table beside the images has the column {label!r}", pointer="#/label"
        )
    if listing is not None:
        return _by_table(listing, images, top, notes)
    return _by_folder(container, images, top, notes)


def _meant(container: Container, notes: list[str]) -> list[str]:
    """Return the files without hidden ones and those that operating systems leave behind, in the order of names."""
    left = sorted(name for name in container.sizes if nobody_means(name))
    if left:
        notes.append(f"hidden files and those of operating systems are not read: {listed(left)}")
    return sorted(name for name in container.sizes if not nobody_means(name))


def _common_top(names: Sequence[str], *, listed_images: bool) -> str:
    """Return the folders, each with `/` behind it, in which all of it lies and which are no class."""
    top = ""
    while True:
        inner = [name[len(top) :].split("/") for name in names]
        alike = all(len(path) > 1 and path[0] == inner[0][0] for path in inner)
        if not alike or not (listed_images or any(len(path) > 2 for path in inner)):
            return top
        top += inner[0][0] + "/"


def _by_folder(container: Container, images: list[str], top: str, notes: list[str]) -> Arrangement:
    paths = {name: name[len(top) :].split("/") for name in images}
    given = _has_parts(paths.values())
    inside = not given and _parts_in_classes(paths.values())
    names, labels, parts = list[str](), list[str](), list[str]()
    loose, other = list[str](), list[str]()
    for name, path in paths.items():
        part = _part(path) if given else PARTS[path[1].lower()] if inside else ""
        folders = path[1:-1] if part and given else path[:-1]
        if part is None or not folders:
            (loose if part is not None else other).append(name)
            continue
        names.append(name)
        labels.append(folders[0])
        parts.append(part)
    if other:
        notes.append(f"images that lie in no part are not read: {listed(other)}")
    if len(set(labels)) < 2 and not given and not inside:
        return _without_labels(container, images, top, notes)
    if loose and names:
        notes.append(f"images that lie in no folder of a class are not read: {listed(loose)}")
    _refuse_one_class(sorted(set(labels)))
    _note_empty(container, top, names, notes)
    notes.append(f"classes are the names of {len(set(labels))} folders")
    if inside:
        notes.append("the folders in those of the classes are the parts: train, val or test")
    return Arrangement(names, np.asarray(labels), parts, None, notes)


def _without_labels(
    container: Container, images: list[str], top: str, notes: list[str]
) -> Arrangement:
    """Return images that no folder and no table tells apart; raises DatasetMismatch where a table may be meant to."""
    others = [
        name for name in sorted(container.sizes) if not (is_image(name) or nobody_means(name))
    ]
    if odd := [
        name for name in others if not is_table(name) and LABELLING.search(PurePosixPath(name).stem)
    ]:
        raise DatasetMismatch(
            f"{listed(odd)} may hold the labels, and is not read as such: give a CSV of names and labels, or take it "
            "away where there are none",
            pointer=pointer_to(odd[0]),
        )
    if tables := [name for name in others if is_table(name)]:
        raise DatasetMismatch(
            f"there are no folders of several classes: say which column of {listed(tables)} holds the labels "
            "(--label COLUMN), beside one with the names of the images, or take it away where there are none",
            pointer="#/label",
        )
    _note_empty(container, top, images, notes)
    notes.append(f"the images have no labels: {WITH_LABELS}")
    return Arrangement(images, None, [""] * len(images), None, notes)


def _has_parts(paths: Iterable[Sequence[str]]) -> bool:
    """Say whether folders of classes lie in folders of parts; raises DatasetMismatch where none is to train on."""
    parts = [_part(path) for path in paths]
    if "train" in parts or None in parts:
        return "train" in parts
    raise DatasetMismatch(
        f"there are parts {', '.join(sorted({str(part) for part in parts}))}, and no train",
        pointer="#/file",
    )


def _part(path: Sequence[str]) -> str | None:
    """Return the part that the first of some folders names, where a folder of a class lies in it."""
    return PARTS.get(path[0].lower()) if len(path) > 2 else None


def _parts_in_classes(paths: Iterable[Sequence[str]]) -> bool:
    """Say whether every image lies in a folder of its part in that of its class, some of them to train on."""
    parts = [PARTS.get(path[1].lower()) if len(path) > 2 else None for path in paths]
    return "train" in parts and None not in parts and len(set(parts)) > 1


def _refuse_one_class(classes: list[str]) -> None:
    if len(classes) < 2:
        raise DatasetMismatch(
            f"all images lie in the folder {classes[0]!r}, and there is one class: give {HOW}",
            pointer=pointer_to(classes[0]),
        )


def _note_empty(container: Container, top: str, names: list[str], notes: list[str]) -> None:
    filled = {name[:slash] for name in names for slash in _slashes(name)}
    empty = sorted(
        folder
        for folder in container.folders
        if folder.startswith(top) and folder not in filled and not nobody_means(folder)
    )
    if empty:
        notes.append(f"folders without images: {listed(empty)}")


def _slashes(name: str) -> list[int]:
    return [index for index, sign in enumerate(name) if sign == "/"]


def _by_table(listing: Listing, images: list[str], top: str, notes: list[str]) -> Arrangement:
    notes += listing.notes
    named = set(listing.names)
    if unnamed := [name for name in images if name not in named]:
        notes.append(
            f"{len(unnamed):,} images are not in the table, and not read: {listed(unnamed)}"
        )
    parts = [
        part or PARTS.get(name[len(top) :].split("/")[0].lower(), "")
        for name, part in zip(listing.names, listing.parts, strict=True)
    ]
    if "train" not in parts:
        parts = [""] * len(parts)
    elif "" in parts:
        name = listing.names[parts.index("")]
        raise DatasetMismatch(
            f"{name!r} belongs to no part, and others do: give train, val or test for all",
            pointer=pointer_to(name),
        )
    if len(np.unique(listing.labels)) == 1:
        raise DatasetMismatch(
            f"all images have the label {str(listing.labels[0])!r}: there is one class",
            pointer=pointer_to(listing.tables[0]),
        )
    return Arrangement(listing.names, listing.labels, parts, listing.column, notes)
