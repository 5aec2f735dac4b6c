"""A zip archive or a folder with an array of images and the boxes on them, as YOLO or as COCO writes these."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from spectral_engine.data.allowance import most_in_memory
from spectral_engine.data.boxes import YOLO, KnownBoxes, padded
from spectral_engine.data.images.names import is_image
from spectral_engine.data.reading import coco
from spectral_engine.data.reading.box_images import BoxedImages, list_boxed_images
from spectral_engine.data.reading.coco import read_coco
from spectral_engine.data.reading.members import Members, members_of
from spectral_engine.data.reading.npz import check_declared, read_npz
from spectral_engine.data.reading.yolo import label_files, read_yolo
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
ARRAYS = ("x.npy", "images.npy", "x.npz", "images.npz")
MOST_CHANNELS = 4
ANNOTATIONS = re.compile(r"_?annotations(\.coco)?\.json|instances(_\w+)?\.json")


@dataclass(frozen=True)
class BoxArchive:
    """Images and boxes, row by row, as arrays `x` and `y`; what the format says of the boxes, and notes."""

    arrays: dict[str, Array]
    boxes: KnownBoxes
    notes: list[str]


def holds_boxes(names: Sequence[str]) -> bool:
    """Say whether these names of files are those of images with boxes, rather than of plain arrays."""
    return bool(label_files(names) or _annotation_files(names))


def boxed_images(path: Path) -> BoxedImages | None:
    """Return image files with their boxes, or None where the images are one array; raises DatasetMismatch by file."""
    with members_of(path) as members:
        names = [*members.sizes]
        if _array_files(names) or not any(map(is_image, names)):
            return None
        return list_boxed_images(members, _only_annotations(names))


def read_box_archive(path: Path) -> BoxArchive:
    """Read a zip archive or a folder with the images in one array; raises DatasetMismatch by file, and place in it."""
    with members_of(path) as members:
        images = read_images(members)
        annotations = _only_annotations([*members.sizes])
        return (
            _yolo(members, images) if annotations is None else _coco(members, annotations, images)
        )


def _only_annotations(names: Sequence[str]) -> str | None:
    annotated = _annotation_files(names)
    if len(annotated) > 1 or (annotated and label_files(names)):
        raise DatasetMismatch(
            f"the archive holds boxes more than once ({', '.join(annotated)}): keep one "
            "annotations.json, or one folder labels/",
            pointer="#/file",
        )
    return annotated[0] if annotated else None


def read_images(members: Members) -> Array:
    """Return the images [n, …] in the order of the rows."""
    files = _array_files([*members.sizes])
    if len(files) != 1:
        said = f"it holds {', '.join(files)}" if files else "it holds none"
        raise DatasetMismatch(
            f"images with boxes come as files, or as one array, x.npy or images.npz, beside the labels, and {said}",
            pointer="#/file",
        )
    content = members.read(files[0], most_in_memory())
    return _of_npz(content, files[0]) if files[0].endswith(".npz") else _of_npy(content, files[0])


def _of_npy(content: bytes, name: str) -> Array:
    check_declared(BytesIO(content), name, len(content))
    array: Array = npy.read_array(BytesIO(content), allow_pickle=False)
    return array


def _of_npz(content: bytes, name: str) -> Array:
    arrays = read_npz(BytesIO(content))
    if len(arrays) != 1:
        raise DatasetMismatch(
            f"{name!r} holds the arrays {', '.join(arrays)}: keep that of the images alone",
            pointer="#/file",
        )
    return next(iter(arrays.values()))


def _array_files(names: Sequence[str]) -> list[str]:
    return [name for name in names if PurePosixPath(name).name in ARRAYS]


def _annotation_files(names: Sequence[str]) -> list[str]:
    """Return the files that are called as COCO and those who export in its form call them."""
    return [name for name in names if ANNOTATIONS.fullmatch(PurePosixPath(name).name)]


def _yolo(members: Members, images: Array) -> BoxArchive:
    files, boxes, names = read_yolo(members)
    if len(files) != len(images):
        raise DatasetMismatch(
            f"there are {len(images):,} images and {len(files):,} label files (the last is {files[-1]!r}): write one "
            "for each image, an empty one where nothing is on it",
            pointer="#/file",
        )
    note = f"boxes are read from {len(files):,} label files, {files[0]!r} for the first row"
    return _archive(images, boxes, KnownBoxes(YOLO, names), [note])


def _coco(members: Members, name: str, images: Array) -> BoxArchive:
    coco_boxes = read_coco(members.read(name, coco.MOST_BYTES), name, sides(images.shape))
    if len(coco_boxes.images) != len(images):
        raise DatasetMismatch(
            f"{name!r} lists {len(coco_boxes.images):,} images, and the array holds {len(images):,}: list those of the "
            "rows, in their order",
            pointer="#/file",
        )
    note = (
        f"boxes are read from {name!r}; its images are the rows in the order in which it lists them"
    )
    return _archive(
        images,
        coco_boxes.images,
        KnownBoxes(YOLO, coco_boxes.names, crowds=True, numbers=coco_boxes.numbers),
        [note, *coco_boxes.notes],
    )


def _archive(
    images: Array, boxes: list[list[tuple[float, ...]]], known: KnownBoxes, notes: list[str]
) -> BoxArchive:
    count = sum(map(len, boxes))
    if count == 0:
        raise DatasetMismatch("no image has a box: nothing can be measured", pointer="#/file")
    bare = sum(not row for row in boxes)
    notes = [*notes, f"{count:,} boxes on {len(boxes) - bare:,} images, none on {bare:,}"]
    return BoxArchive({"x": images, "y": padded(boxes)}, known, notes)


def sides(shape: Sequence[int]) -> tuple[int, int]:
    """Return height and width of images [n, channels, height, width] or [n, height, width, channels]."""
    if len(shape) == 4 and shape[1] <= MOST_CHANNELS:
        return int(shape[2]), int(shape[3])
    return (int(shape[1]), int(shape[2])) if len(shape) >= 3 else (1, 1)
