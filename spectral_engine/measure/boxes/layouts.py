"""Where boxes, scores and classes stand in a detector's outputs: the usual layouts, by shapes and ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spectral_engine.measure.boxes.joined import Join

Array = NDArray[Any]
Corners = Literal["cxcywh", "xyxy", "yxyx"]
Scores = Literal["given", "sigmoid", "softmax"]
Background = Literal["none", "first", "last"]

LARGEST_SHARE = 2.0  # of the image that nearly all normalised coordinates are within
NEARLY_ALL = 0.95
ORDERS: tuple[Corners, ...] = ("xyxy", "cxcywh", "yxyx")
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
    """Where boxes, scores and classes stand in a model's output, or in several that are joined.

    `transposed` outputs have their boxes on the last axis. `listed` boxes come as four coordinates, score, class.
    """

    name: str
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
        order = {"xyxy": "x1y1x2y2", "yxyx": "y1x1y2x2"}.get(self.corners, self.corners)
        words = [self.name, f"{order} in {scale}"]
        if self.activation != "given":
            words.append(f"{self.activation} of scores")
        if self.background != "none":
            words.append(f"{self.background} class is the background")
        return ", ".join(words)


def box_layouts(shape: Sequence[int]) -> list[Layout]:
    """Return the layouts that an output of this shape, rows first, may have; the usual ones come first.

    >>> [layout.name for layout in box_layouts((1, 84, 8400))][:1]
    ['YOLOv8']
    """
    if len(shape) != 3:
        return []
    _, first, last = shape  # classes are usually fewer than boxes
    layouts = []
    if last == 6:
        layouts.append(Layout("YOLOv10", "xyxy", listed=True, suppress=False))
    if first > 4:
        layouts.append(Layout("YOLOv8", transposed=True))
    if last > 5:
        layouts.append(Layout("YOLOv5", objectness=True))
    if last > 4:
        layouts.append(Layout("YOLOv8, boxes first"))
    layouts.sort(key=lambda layout: layout.transposed != (first < last))
    scored = (replace(layout, activation=how) for how in _ACTIVATED for layout in layouts)
    return [
        replace(layout, normalised=normalised)
        for layout in scored
        for normalised in (False, True)
        if not (layout.listed and layout.activation == "sigmoid")
    ]


def joined_layouts(join: Join, width: int) -> list[Layout]:
    """Return the layouts that joined outputs [n, boxes, width] may have; the usual ones come first."""
    if join.finished:
        finished = Layout("finished boxes", listed=True, suppress=False)
        return [*_placed(finished, (False, True))]
    if join.objectness is not None:
        apart = Layout("boxes, objectness and classes", objectness=True)
        return [
            replace(layout, activation=how)
            for how in _ACTIVATED
            for layout in _placed(apart, (False, True))
        ]
    return [*_of_scores(width - 4)]


def _of_scores(classes: int) -> Iterator[Layout]:
    """Yield layouts of coordinates and scores; a background needs a class beside it."""
    detr = Layout("DETR", normalised=True, activation="softmax", suppress=False)
    if classes > 1:
        yield replace(detr, background="last")
    yield replace(detr, name="RT-DETR", activation="sigmoid")
    for activation, background in SCORED:
        if classes > 1 or background == "none":
            name = "boxes and scores" if background == "none" else "SSD"
            apart = Layout(name, activation=activation, background=background)
            yield from _placed(apart, (True, False))


def _placed(layout: Layout, normalised: Sequence[bool]) -> Iterator[Layout]:
    """Yield a layout with every order of coordinates, in shares and pixels."""
    for order, shares in product(ORDERS, normalised):
        yield replace(layout, corners=order, normalised=shares)


def fits(answers: Array, layout: Layout) -> bool:
    """Tell whether the values of answers [n, …] are in the ranges that a layout says."""
    coordinates, scores, objectness = parts(answers, layout)
    classes = np.empty(0)
    if layout.listed:  # the places behind the last box hold anything
        there = scores[..., 0] > 0
        coordinates, scores, classes = coordinates[there], scores[there], answers[there][..., 5]
    if not coordinates.size:
        return False
    largest = float(np.quantile(np.abs(coordinates), NEARLY_ALL))
    if layout.normalised != (largest <= LARGEST_SHARE):
        return False
    given = [part for part in (scores, objectness) if part is not None]
    shares = all(((part >= -1e-6) & (part <= 1 + 1e-6)).all() for part in given)
    if layout.listed:
        return shares and bool((classes == np.round(classes)).all())
    return shares == (layout.activation == "given")


def parts(answers: Array, layout: Layout) -> tuple[Array, Array, Array | None]:
    """Return coordinates [images, boxes, 4], scores [images, boxes, classes], and objectness [images, boxes, 1]."""
    if layout.transposed:
        answers = answers.transpose(0, 2, 1)
    if layout.listed:
        return answers[..., :4], answers[..., 4:5], None
    if layout.objectness:
        return answers[..., :4], answers[..., 5:], answers[..., 4:5]
    return answers[..., :4], answers[..., 4:], None
