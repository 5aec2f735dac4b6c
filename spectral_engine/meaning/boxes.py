"""Boxes: where a detector's output holds them, and how those of the labels are written, tried against each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.split import Split
from spectral_engine.data.written import BoxForm
from spectral_engine.errors import DatasetMismatch
from spectral_engine.meaning.layout import Layout
from spectral_engine.measure.boxes import Layout as Where
from spectral_engine.measure.boxes import decode

Array = NDArray[Any]
Floats = NDArray[np.float64]
NOWHERE = Where("")
NO_BOX = -1
MOST_OUTSIDE = 1.01  # shares of an image; what is rounded may stand out by a little
CHANNELS = (1, 3, 4)
FORMS = tuple(
    BoxForm(corners, shares, first)
    for corners in ("xyxy", "xywh", "cxcywh")
    for shares in (False, True)
    for first in (False, True)
)


@dataclass(frozen=True)
class BoxAnswers(Layout):
    """Answers of a detector, decoded to boxes [n, boxes, 6] in pixels of the image that the model takes."""

    where: Where = NOWHERE
    image_size: tuple[int, int] = (1, 1)  # height, width

    @property
    def places(self) -> tuple[int, ...]:
        """Boxes have no places of their own."""
        return ()

    def canonical(self, answers: Array) -> Array:
        """Return boxes [n, boxes, 6]: x1, y1, x2, y2, score, class; a score of −1 is padding."""
        return decode([answers], self.where, self.image_size)

    def predicted(self, answers: Array) -> Array:
        """Boxes are no classes."""
        raise NotImplementedError


@dataclass(frozen=True)
class BoxLabels:
    """Labels [n, boxes, 5] in this form; `known` [m], sorted, are the file's class numbers, `classes` the model's."""

    form: BoxForm
    image_size: tuple[int, int]
    known: tuple[int, ...]
    classes: tuple[int, ...]

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return boxes [n, boxes, 5]: x1, y1, x2, y2 in pixels and class, −1 in padding."""
        del places
        boxes, kinds = taken_apart(labels, self.form)
        there = is_box(boxes, kinds)
        known = np.asarray(self.known)
        at = np.searchsorted(known, kinds).clip(0, len(known) - 1)
        strange = there & (known[at] != kinds)
        if strange.any():
            row, box = (int(i) for i in np.argwhere(strange)[0])
            raise DatasetMismatch(
                f"{field!r} has a box of class {kinds[row, box]:g} in row {row}, which is none of the model's",
                pointer=f"#/{field}/{row}",
            )
        corners = in_pixels(boxes, self.form, self.image_size)
        classes = np.where(there, np.asarray(self.classes)[at], NO_BOX)
        return np.concatenate(
            [np.where(there[..., None], corners, 0.0), classes[..., None]], axis=-1
        )


def taken_apart(labels: Array, form: BoxForm) -> tuple[Floats, Floats]:
    """Return coordinates [n, boxes, 4] and classes [n, boxes] as they are written."""
    numbers = labels.astype(np.float64)
    if form.class_first:
        return numbers[..., 1:], numbers[..., 0]
    return numbers[..., :4], numbers[..., 4]


def is_box(boxes: Floats, kinds: Floats) -> NDArray[np.bool_]:
    """Say which rows of the array are boxes [n, boxes]: padding has a class below 0, or nothing but zeros."""
    return np.asarray((kinds >= 0) & (boxes != 0).any(axis=-1))


def in_pixels(boxes: Floats, form: BoxForm, image_size: tuple[int, int]) -> Floats:
    """Return x1, y1, x2, y2 in pixels."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if form.corners == "xywh":
        second = first + second
    elif form.corners == "cxcywh":
        first, second = first - second / 2, first + second / 2
    corners: Floats = np.concatenate([first, second], axis=-1)
    if form.shares:
        height, width = image_size
        corners = corners * np.array([width, height, width, height])
    return corners


def possible_forms(
    labels: Array, image_size: tuple[int, int], asked: str | None
) -> Iterator[BoxForm]:
    """Yield the forms under which all boxes lie in the image and classes are whole numbers; the usual ones first."""
    for form in FORMS:
        if asked is not None and form.corners != asked:
            continue
        boxes, kinds = taken_apart(labels, form)
        there = is_box(boxes, kinds)
        boxes, kinds = boxes[there], kinds[there]
        if len(boxes) and _is_possible(boxes, kinds, form, image_size):
            yield form


def _is_possible(boxes: Floats, kinds: Floats, form: BoxForm, image_size: tuple[int, int]) -> bool:
    if (kinds != np.round(kinds)).any() or form.shares != bool(np.abs(boxes).max() <= MOST_OUTSIDE):
        return False
    height, width = image_size
    corners = in_pixels(boxes, form, image_size) / np.array([width, height, width, height])
    low, high = corners[:, :2], corners[:, 2:]
    inside = (low >= 1 - MOST_OUTSIDE).all() and (high <= MOST_OUTSIDE).all()
    return bool((high > low).all() and inside)


def image_size(rows: Split) -> tuple[int, int] | None:
    """Return height and width of the images that the model takes; None where no input holds images."""
    for array in rows.inputs.values():
        if array.ndim == 4:
            _, first, second, third = array.shape
            if first in CHANNELS or third not in CHANNELS:
                return second, third
            return first, second
    return None
