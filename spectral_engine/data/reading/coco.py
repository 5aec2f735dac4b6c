"""COCO's annotations: images, boxes of them as left, top, width, height in pixels, and categories by id."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from typing import Any

from spectral_engine.data.boxes import FIRST_CROWD
from spectral_engine.errors import DatasetMismatch

MOST_BYTES = 2**29
MOST_BOXES = 2000  # of one image
Box = tuple[float, ...]


@dataclass(frozen=True)
class CocoBoxes:
    """Boxes of each image (class by place among the sorted ids, then centre and size in shares), file names, notes.

    `names` and `numbers` are those of the categories, sorted by number.

    Crowds are boxes of the class −2 − k.
    """

    images: list[list[Box]]
    files: list[str]
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    notes: list[str]


def read_coco(content: bytes, name: str, image_size: tuple[int, int]) -> CocoBoxes:
    """Return the boxes of an annotation file; `image_size` holds where an image has no width and height of its own.

    Raises DatasetMismatch by file and by id of image, category or annotation.
    """
    whole = _parsed(content, name)
    images = _by_id(whole, "images", name)
    categories = _by_id(whole, "categories", name)
    kinds = {key: float(index) for index, key in enumerate(sorted(categories))}
    sizes = {key: _size(image, image_size, name) for key, image in images.items()}
    boxes: dict[int, list[Box]] = {key: [] for key in images}
    crowds, empty = [], []
    for number, one in enumerate(_list(whole, "annotations", name)):
        where = _where(one, number, name)
        image = _known(one.get("image_id"), images, "image_id", "images", where)
        kind = _known(one.get("category_id"), categories, "category_id", "categories", where)
        box = _box(one.get("bbox"), sizes[image], where)
        if box[2] == 0 or box[3] == 0:
            empty.append(where)
            continue
        if one.get("iscrowd"):
            crowds.append(where)
            boxes[image].append((FIRST_CROWD - kinds[kind], *box))
        else:
            boxes[image].append((kinds[kind], *box))
        if len(boxes[image]) > MOST_BOXES:
            raise _wrong(f"{name!r}", f"image {image} has more than {MOST_BOXES:,} boxes")
    files = [str(image.get("file_name", key)) for key, image in images.items()]
    names = tuple(str(categories[key].get("name", key)) for key in sorted(categories))
    return CocoBoxes(
        [*boxes.values()], files, names, tuple(sorted(categories)), _notes(crowds, empty)
    )


def _parsed(content: bytes, name: str) -> dict[str, Any]:
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _wrong(
            f"{name!r}", f"it is no JSON ({error}): export the annotations again"
        ) from error
    if not isinstance(whole, dict):
        raise _wrong(
            f"{name!r}", "it is no object with images, annotations and categories, as COCO has them"
        )
    return whole


def _list(whole: dict[str, Any], key: str, name: str) -> list[dict[str, Any]]:
    entries = whole.get(key)
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise _wrong(f"{name!r}", f"{key!r} must be a list of objects, as COCO has it")
    return entries


def _by_id(whole: dict[str, Any], key: str, name: str) -> dict[int, dict[str, Any]]:
    entries: dict[int, dict[str, Any]] = {}
    for number, one in enumerate(_list(whole, key, name)):
        number_of = one.get("id")
        if not isinstance(number_of, int) or isinstance(number_of, bool):
            raise _wrong(f"{name!r}, entry {number} of {key!r}", "its id must be a whole number")
        if number_of in entries:
            raise _wrong(f"{name!r}", f"{key!r} holds the id {number_of} twice: keep one")
        entries[number_of] = one
    if not entries:
        raise _wrong(f"{name!r}", f"{key!r} is empty")
    return entries


def _size(image: dict[str, Any], default: tuple[int, int], name: str) -> tuple[float, float]:
    """Return width and height of an image."""
    width, height = image.get("width", default[1]), image.get("height", default[0])
    if not all(_is_number(side) and side > 0 for side in (width, height)):
        raise _wrong(f"{name!r}, image {image['id']}", "width and height must be above 0")
    return float(width), float(height)


def _where(one: dict[str, Any], number: int, name: str) -> str:
    return (
        f"{name!r}, annotation {one['id']}" if "id" in one else f"{name!r}, annotation no. {number}"
    )


def _known(key: Any, known: dict[int, dict[str, Any]], field: str, among: str, where: str) -> int:
    if not isinstance(key, int) or key not in known:
        raise _wrong(
            where,
            f"its {field} is {key!r}, which is none of {among!r}: add that, or drop the annotation",
        )
    return key


def _box(bbox: Any, size: tuple[float, float], where: str) -> Box:
    """Return centre and size in shares of the image."""
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
        raise _wrong(where, "its bbox must be four numbers [x, y, width, height] in pixels")
    left, top, width, height = (float(number) for number in bbox)
    if width < 0 or height < 0:
        raise _wrong(
            where,
            f"its bbox {bbox} has a size below 0: COCO writes [x, y, width, height], no corners",
        )
    if left + width > 1.05 * size[0] + 1 or top + height > 1.05 * size[1] + 1:
        raise _wrong(
            where,
            f"its bbox {bbox} leaves the image of {size[0]:g} × {size[1]:g} pixels: COCO writes [x, y, width, height]"
            " in pixels, no corners; give `width` and `height` of the images to which the boxes belong",
        )
    across, down = size
    return (left + width / 2) / across, (top + height / 2) / down, width / across, height / down


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _notes(crowds: list[str], empty: list[str]) -> list[str]:
    notes = []
    if crowds:
        notes.append(
            f"{len(crowds):,} annotations are of crowds: boxes that are found there count neither way (the first: "
            f"{crowds[0]})"
        )
    if empty:
        notes.append(f"{len(empty):,} boxes without an area are left out (the first: {empty[0]})")
    return notes


def _wrong(where: str, said: str) -> DatasetMismatch:
    return DatasetMismatch(f"{where}: {said}", pointer="#/file")
