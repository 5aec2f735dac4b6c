"""Image files with boxes: a row is an image, and finds its boxes by its own name."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.boxes import PADDING, YOLO, KnownBoxes, padded
from spectral_engine.data.images.container import opened
from spectral_engine.data.images.decoded import decoded
from spectral_engine.data.images.letterbox import Placement
from spectral_engine.data.images.names import is_image, listed
from spectral_engine.data.images.read import ROW, Divide, Images
from spectral_engine.data.part_names import PARTS
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.reading import coco
from spectral_engine.data.reading.coco import read_coco
from spectral_engine.data.reading.members import Members
from spectral_engine.data.reading.yolo import Box, boxes_by_file
from spectral_engine.data.spec import InputSpec
from spectral_engine.data.split import Split
from spectral_engine.errors import DatasetMismatch, InvalidRequest

Array = NDArray[Any]
UNKNOWN_SIZE = (1, 1)  # of an image of which COCO's file does not say it


@dataclass(frozen=True)
class BoxedImages:
    """Image files in the order of the rows, the part and the boxes of each, and what the format says of boxes."""

    names: list[str]
    parts: list[str]
    boxes: list[list[Box]]
    known: KnownBoxes
    notes: list[str]


def list_boxed_images(members: Members, annotations: str | None) -> BoxedImages:
    """Match images with COCO's `annotations`, or with YOLO's label files. Raises DatasetMismatch by file."""
    images = sorted(name for name in members.sizes if is_image(name))
    if annotations is not None:
        return _by_annotations(members, images, annotations)
    boxes_of_file, names = boxes_by_file(members)
    by_key = {_key(file): (file, boxes) for file, boxes in boxes_of_file.items()}
    keys = [_key(name) for name in images]
    alone = [file for key, (file, _) in by_key.items() if key not in set(keys)]
    if alone:
        raise DatasetMismatch(
            f"{listed(alone)}: no image has that name; labels/a.txt goes with images/a.jpg",
            pointer="#/file",
        )
    bare = [name for name, key in zip(images, keys, strict=True) if key not in by_key]
    notes = (
        [f"{len(bare):,} images without a label file have no boxes: {listed(bare)}"] if bare else []
    )
    boxes = [by_key[key][1] if key in by_key else [] for key in keys]
    return BoxedImages(images, _parts(keys), boxes, KnownBoxes(YOLO, names), notes)


def _by_annotations(members: Members, images: list[str], annotations: str) -> BoxedImages:
    coco_boxes = read_coco(members.read(annotations, coco.MOST_BYTES), annotations, UNKNOWN_SIZE)
    ends: dict[str, list[str]] = {}
    for name in images:
        steps = PurePosixPath(name).parts
        for start in range(len(steps)):
            ends.setdefault("/".join(steps[start:]), []).append(name)
    files = [
        _only(ends.get(file.replace("\\", "/").removeprefix("./"), []), file, annotations)
        for file in coco_boxes.files
    ]
    left = sorted(set(images) - set(files))
    notes = [*coco_boxes.notes]
    if left:
        notes.append(f"images that {annotations!r} does not list are left out: {listed(left)}")
    parts = _parts([_key(name) for name in files])
    return BoxedImages(
        files,
        parts,
        coco_boxes.images,
        KnownBoxes(YOLO, coco_boxes.names, crowds=True, numbers=coco_boxes.numbers),
        notes,
    )


def _only(matches: Sequence[str], file: str, annotations: str) -> str:
    if len(matches) == 1:
        return matches[0]
    said = "there is no such image" if not matches else f"it may be {listed(matches)}"
    raise DatasetMismatch(f"{annotations!r} lists {file!r}, and {said}", pointer="#/file")


def _key(name: str) -> str:
    """Return what an image and its label file have in common."""
    path = PurePosixPath(name).with_suffix("")
    return "/".join(part for part in path.parts if part not in {"images", "labels"})


def _parts(keys: Sequence[str]) -> list[str]:
    """Return the part of each image, `""` where folders do not say it of all."""
    parts = [
        next((PARTS[part] for part in PurePosixPath(key).parts[:-1] if part in PARTS), None)
        for key in keys
    ]
    known = [part for part in parts if part is not None]
    return known if len(known) == len(parts) and "train" in known else [""] * len(keys)


def read_boxed_images(
    path: Path,
    boxed: BoxedImages,
    inputs: Sequence[InputSpec],
    preprocessing: Preprocessing | None,
    divide: Divide,
) -> Images:
    """Divide the rows, and decode the images of each part; labels are boxes [n, k, 5] in shares of the image.

    Raises InvalidRequest where the preprocessing would move the boxes, DatasetMismatch by image.
    """
    done = preprocessing or Preprocessing()
    if done.crop is not None:
        raise InvalidRequest(
            "a crop would move the boxes: resize the images, which leaves them where they are",
            pointer="#/preprocessing/crop",
        )
    if len(inputs) != 1:
        raise DatasetMismatch(
            f"images feed one input, and the model has {len(inputs)}", pointer="#/file"
        )
    labels, parts = padded(boxed.boxes), np.asarray(boxed.parts)
    rows = {part: np.flatnonzero(parts == part) for part in dict.fromkeys(boxed.parts)}
    cut = divide({part: Split({ROW: at}, labels[at]) for part, at in rows.items()})
    notes = [*boxed.notes]
    kind = "folder" if path.is_dir() else "tar" if tarfile.is_tarfile(path) else "zip"
    with opened(path, kind) as container:
        row_numbers = [part.arrays[ROW] for part in cut]
        lies: dict[int, Placement] = {}
        sources = decoded(container, boxed.names, row_numbers, inputs[0], done, notes, lies)
    made = [
        Split({inputs[0].name: source}, _moved(part.labels, [lies[int(row)] for row in rows]))
        for source, part, rows in zip(sources, cut, row_numbers, strict=True)
    ]
    return Images(made, "train" in rows, None, notes, done.for_pixels())


def _moved(boxes: Array | None, lies: Sequence[Placement]) -> Array:
    """Return boxes [n, k, 5] of class, centre and size in shares of what the model sees, not of the image files."""
    assert boxes is not None
    offset, scale = (np.array([getattr(lie, name) for lie in lies]) for name in ("offset", "scale"))
    moved_boxes = boxes.copy()
    there = boxes[..., :1] != PADDING
    centre = boxes[..., 1:3] * scale[:, None] + offset[:, None]
    moved = np.concatenate([centre, boxes[..., 3:] * scale[:, None]], axis=-1)
    moved_boxes[..., 1:] = np.where(there, moved, boxes[..., 1:])
    return moved_boxes
