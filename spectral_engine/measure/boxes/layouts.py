"""Where boxes, scores and classes stand in a detector's outputs: the usual layouts, by shapes and ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Corners = Literal["cxcywh", "xyxy", "yxyx"]
Scores = Literal["given", "sigmoid", "softmax"]
Background = Literal["none", "first", "last"]

LARGEST_SHARE = 2.0  # of the image that nearly all normalised coordinates are within
NEARLY_ALL = 0.95
_ACTIVATED: tuple[Scores, ...] = ("given", "sigmoid")
SCORED: tuple[tuple[Scores, Background], ...] = (
    ("given", "first"),
    ("given", "none"),
    ("given", "last"),
    ("softmax", "first"),
    ("softmax", "last"),
    ("sigmoid", "none"),
    ("sigmoid", "first"),
)


@dataclass(frozen=True)
class Layout:
    """Where boxes, scores and classes stand in a model's outputs.

    `boxes` is the output with the coordinates, and `scores` that with the scores, the same in one-output layouts.
    `transposed` outputs have their boxes on the last axis. `listed` boxes come as x1, y1, x2, y2, score, class.
    """

    name: str
    boxes: int = 0
    scores: int = 0
    corners: Corners = "cxcywh"
    normalised: bool = False
    activation: Scores = "given"
    background: Background = "none"
    objectness: bool = False
    transposed: bool = False
    listed: bool = False
    suppress: bool = True

    def describe(self) -> str:
        """Return the layout in words."""
        scale = "shares of the image" if self.normalised else "pixels"
        order = "x1y1x2y2" if self.corners == "xyxy" else self.corners
        words = [self.name, f"{order} in {scale}"]
        if self.activation != "given":
            words.append(f"{self.activation} of scores")
        if self.background != "none":
            words.append(f"{self.background} class is the background")
        return ", ".join(words)


def box_layouts(shapes: Sequence[Sequence[int]]) -> list[Layout]:
    """Return the layouts that outputs of these shapes, rows first, may have; the usual ones come first.

    >>> [layout.name for layout in box_layouts([(1, 84, 8400)])][:1]
    ['YOLOv8']
    """
    found: list[Layout] = []
    ranked = [index for index, shape in enumerate(shapes) if len(shape) == 3]
    for index in ranked:
        found += _of_one_output(index, *shapes[index][1:])
    for boxes, scores in product(ranked, ranked):
        if boxes != scores and shapes[boxes][2] == 4 and shapes[scores][1] == shapes[boxes][1]:
            found += _of_two_outputs(boxes, scores, shapes[scores][2])
    return found


def _of_one_output(index: int, first: int, last: int) -> list[Layout]:
    """Return layouts with all in one output [rows, first, last]; classes are usually fewer than boxes."""
    found = []
    if last == 6:
        found.append(Layout("YOLOv10", index, index, "xyxy", listed=True, suppress=False))
    if first > 4:
        found.append(Layout("YOLOv8", index, index, transposed=True))
    if last > 5:
        found.append(Layout("YOLOv5", index, index, objectness=True))
    if last > 4:
        found.append(Layout("YOLOv8, boxes first", index, index))
    found.sort(key=lambda layout: layout.transposed != (first < last))
    scored = (replace(layout, activation=how) for how in _ACTIVATED for layout in found)
    return [
        replace(layout, normalised=normalised)
        for layout in scored
        for normalised in (False, True)
        if not (layout.listed and layout.activation == "sigmoid")
    ]


def _of_two_outputs(boxes: int, scores: int, classes: int) -> Iterator[Layout]:
    """Yield layouts with coordinates and scores apart; a background needs a class beside it."""
    detr = Layout("DETR", boxes, scores, normalised=True, activation="softmax", suppress=False)
    if classes > 1:
        yield replace(detr, background="last")
    yield replace(detr, name="RT-DETR", activation="sigmoid")
    corners: tuple[Corners, ...] = ("xyxy", "cxcywh", "yxyx")
    for order, normalised, (activation, background) in product(corners, (True, False), SCORED):
        if classes > 1 or background == "none":
            yield Layout("SSD", boxes, scores, order, normalised, activation, background)


def fits(outputs: Sequence[Array], layout: Layout) -> bool:
    """Tell whether the values of some outputs are in the ranges that a layout says."""
    coordinates, scores, objectness = parts(outputs, layout)
    if not coordinates.size:
        return False
    largest = float(np.quantile(np.abs(coordinates), NEARLY_ALL))
    if layout.normalised != (largest <= LARGEST_SHARE):
        return False
    given = [part for part in (scores, objectness) if part is not None]
    shares = all(((part >= -1e-6) & (part <= 1 + 1e-6)).all() for part in given)
    if layout.listed:
        classes = outputs[layout.boxes][..., 5]
        return shares and bool((classes == np.round(classes)).all())
    return shares == (layout.activation == "given")


def parts(outputs: Sequence[Array], layout: Layout) -> tuple[Array, Array, Array | None]:
    """Return coordinates [images, boxes, 4], scores [images, boxes, classes], and objectness [images, boxes, 1]."""
    boxes, scores = outputs[layout.boxes], outputs[layout.scores]
    if layout.boxes != layout.scores:
        return boxes, scores, None
    if layout.transposed:
        boxes = boxes.transpose(0, 2, 1)
    if layout.listed:
        return boxes[..., :4], boxes[..., 4:5], None
    if layout.objectness:
        return boxes[..., :4], boxes[..., 5:], boxes[..., 4:5]
    return boxes[..., :4], boxes[..., 4:], None
