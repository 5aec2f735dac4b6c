"""True boxes as a file holds them: where the class stands, and how a box is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.records.labels import Corners

Array = NDArray[Any]
Floats = NDArray[np.float64]
WORDS: dict[Corners, str] = {
    "cxcywh": "centre x, centre y, width, height",
    "xyxy": "x1, y1, x2, y2",
    "xywh": "left, top, width, height",
}
NUMBERS = 5  # of a box: its class and four coordinates
PADDING = -1.0  # the class of a place without a box
FIRST_CROWD = -2.0  # of class 0; a region of class k, in which nothing counts, has the class −2 − k


@dataclass(frozen=True)
class BoxForm:
    """How a box's five numbers are written: in `shares` of the image's sides, or in pixels of the model's input."""

    written: Corners = "cxcywh"
    shares: bool = True
    class_first: bool = True

    def describe(self) -> str:
        """Return the form in words."""
        order = WORDS[self.written]
        order = f"class, {order}" if self.class_first else f"{order}, class"
        return f"{order} in {'shares of the image' if self.shares else 'pixels'}"

    def classes(self, boxes: Array) -> Floats:
        """Return the classes [n, k], −1 where there is no box, of boxes [n, k, 5]."""
        return boxes[..., 0 if self.class_first else 4].astype(np.float64)

    def corners(self, boxes: Array, image_size: tuple[int, int]) -> Floats:
        """Return x1, y1, x2, y2 in pixels [n, k, 4] of boxes [n, k, 5]; `image_size` is height and width."""
        coordinates = (boxes[..., 1:] if self.class_first else boxes[..., :4]).astype(np.float64)
        first, second = coordinates[..., :2], coordinates[..., 2:]
        if self.written == "cxcywh":
            first, second = first - second / 2, first + second / 2
        elif self.written == "xywh":
            second = first + second
        height, width = image_size if self.shares else (1, 1)
        sides = np.array([width, height, width, height], np.float64)
        return np.asarray(np.concatenate([first, second], axis=-1) * sides)


@dataclass(frozen=True)
class KnownBoxes:
    """What the format of a file says of its boxes: their form, and the names of the classes where it has any."""

    form: BoxForm
    names: tuple[str, ...] | None = None
    crowds: bool = False  # whether classes below −1 are regions to ignore
    numbers: tuple[int, ...] | None = (
        None  # of the classes in the file, where these are not their places
    )


YOLO = BoxForm()


def of_crowds(classes: Array) -> Array:
    """Return the classes of crowds as they stand in labels, of those as they are meant, and the other way round."""
    return FIRST_CROWD - classes


def padded(images: list[list[tuple[float, ...]]]) -> Floats:
    """Return boxes [n, k, 5], class first, of lists of them; places without a box have the class −1."""
    padded_boxes = np.zeros((len(images), max([1, *map(len, images)]), NUMBERS))
    padded_boxes[..., 0] = PADDING
    for row, boxes in enumerate(images):
        if boxes:
            padded_boxes[row, : len(boxes)] = boxes
    return padded_boxes
