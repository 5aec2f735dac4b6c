"""Boxes in pixels from a detector's outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from spectral_engine.measure.boxes.layouts import Corners, Layout, parts
from spectral_engine.measure.boxes.suppression import survivors

Array = NDArray[Any]
Floats = NDArray[np.float64]

LEAST_SCORE = 0.001  # as the evaluation of YOLO on COCO has it
MOST_BOXES = 300  # of an image that stay
MOST_COMPARED = 3000  # of an image that are compared with each other
ORDERS: dict[Corners, tuple[int, int, int, int]] = {"xyxy": (0, 1, 2, 3), "yxyx": (1, 0, 3, 2)}


def decode(answers: Array, layout: Layout, image_size: tuple[int, int]) -> Floats:
    """Return boxes [images, boxes, 6]: x1, y1, x2, y2 in pixels, score, class; a score of −1 is padding.

    `image_size` is the height and width of the model's input. Each box has the class that it is surest of; of boxes
    of one class that overlap by more than 0.7 the surest stays, where the layout is not one of models that do so
    themselves. At most 300 boxes stay.
    """
    coordinates, scores, objectness = parts(answers, layout)
    corners = _corners(coordinates.astype(np.float64), layout, image_size)
    if layout.listed:
        best, kind = scores[..., 0].astype(np.float64), answers[..., 5]
    else:
        sure = _activated(scores.astype(np.float64), layout)
        if objectness is not None:
            sure = sure * (expit(objectness) if layout.activation == "sigmoid" else objectness)
        best, kind = sure.max(axis=-1), sure.argmax(axis=-1)
    images = [
        _kept(*image, suppress=layout.suppress) for image in zip(corners, best, kind, strict=True)
    ]
    padded = np.zeros((len(images), max([1, *map(len, images)]), 6))
    padded[..., 4] = -1.0
    for image, boxes in enumerate(images):
        padded[image, : len(boxes)] = boxes
    return padded


def _corners(boxes: Floats, layout: Layout, image_size: tuple[int, int]) -> Floats:
    height, width = image_size
    if layout.corners == "cxcywh":
        centre, half = boxes[..., :2], boxes[..., 2:] / 2
        boxes = np.concatenate([centre - half, centre + half], axis=-1)
    else:
        boxes = boxes[..., list(ORDERS[layout.corners])]
    return boxes * np.array([width, height, width, height]) if layout.normalised else boxes


def _activated(scores: Floats, layout: Layout) -> Floats:
    """Return probabilities of the classes, without that of the background."""
    if layout.activation == "sigmoid":
        scores = expit(scores)
    elif layout.activation == "softmax":
        scores = softmax(scores, axis=-1)
    if layout.background == "none":
        return scores
    return scores[..., 1:] if layout.background == "first" else scores[..., :-1]


def _kept(boxes: Floats, scores: Floats, kinds: Array, *, suppress: bool) -> Floats:
    """Return the boxes of one image that stay [boxes, 6], the surest first."""
    order = np.argsort(-scores, kind="stable")[:MOST_COMPARED]
    order = order[scores[order] >= LEAST_SCORE]
    if suppress:
        order = order[survivors(boxes[order], kinds[order], MOST_BOXES)]
    order = order[:MOST_BOXES]
    return np.column_stack([boxes[order], scores[order], kinds[order]])
