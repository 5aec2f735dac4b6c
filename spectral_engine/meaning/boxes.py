"""Boxes: where a detector's output holds them, and how those of the labels are written, tried against each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.boxes import FIRST_CROWD, PADDING, BoxForm, of_crowds
from spectral_engine.data.split import Split
from spectral_engine.errors import DatasetMismatch
from spectral_engine.meaning.layout import Layout
from spectral_engine.measure.boxes import MOST_BOXES, decode
from spectral_engine.measure.boxes import Layout as Where
from spectral_engine.records.labels import Corners

Array = NDArray[Any]
Floats = NDArray[np.float64]
NOWHERE = Where("")
MOST_OUTSIDE = 1.01  # shares of an image; what is rounded may stand out by a little
CHANNELS = (1, 3, 4)
ORDERS: tuple[Corners, ...] = ("xyxy", "xywh", "cxcywh")
FORMS = tuple(
    BoxForm(corners, shares, first)
    for corners in ORDERS
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
        return decode(answers, self.where, self.image_size)

    def comparable(self, answers: Array) -> Array:
        """Return finished boxes, of which each row has as many as it likes, as their scores, the highest first."""
        if not self.where.listed:
            return answers
        scores = self.canonical(answers)[..., 4].clip(0)
        return np.pad(scores, [(0, 0), (0, MOST_BOXES - scores.shape[1])])

    def predicted(self, answers: Array) -> Array:
        """Boxes are no classes."""
        raise NotImplementedError


@dataclass(frozen=True)
class BoxLabels:
    """Labels [n, boxes, 5] in this form; `known` [m], sorted, are the file's class numbers, `classes` the model's.

    With `crowds`, classes below −1 are those of regions to ignore, as in spectral_engine.data.boxes.
    """

    form: BoxForm
    image_size: tuple[int, int]
    known: tuple[int, ...]
    classes: tuple[int, ...]
    crowds: bool = False

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return boxes [n, boxes, 5]: x1, y1, x2, y2 in pixels and class, −1 in padding, −2 − k of crowds."""
        del places
        boxes, written = taken_apart(labels, self.form)
        crowd = is_crowd(boxes, written) & self.crowds
        kinds = np.where(crowd, of_crowds(written), written)
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
        corners = self.form.corners(labels, self.image_size)
        model_classes = np.asarray(self.classes, np.float64)[at]
        classes = np.where(there, np.where(crowd, of_crowds(model_classes), model_classes), PADDING)
        return np.concatenate(
            [np.where(there[..., None], corners, 0.0), classes[..., None]], axis=-1
        )


def taken_apart(labels: Array, form: BoxForm) -> tuple[Floats, Floats]:
    """Return coordinates [n, boxes, 4] and classes [n, boxes] as they are written."""
    numbers = labels.astype(np.float64)
    return (numbers[..., 1:] if form.class_first else numbers[..., :4]), form.classes(numbers)


def is_box(boxes: Floats, kinds: Floats) -> NDArray[np.bool_]:
    """Say which rows of the array are boxes [n, boxes]: padding has a class below 0, or nothing but zeros."""
    return np.asarray((kinds >= 0) & (boxes != 0).any(axis=-1))


def is_crowd(boxes: Floats, kinds: Floats) -> NDArray[np.bool_]:
    """Say which rows of the array are crowds [n, boxes], where a file marks any."""
    return np.asarray((kinds <= FIRST_CROWD) & (boxes != 0).any(axis=-1))


def possible_forms(
    labels: Array, image_size: tuple[int, int], asked: str | None
) -> Iterator[BoxForm]:
    """Yield the forms under which all boxes lie in the image and classes are whole numbers; the usual ones first."""
    for form in FORMS:
        if asked is not None and form.written != asked:
            continue
        boxes, kinds = taken_apart(labels, form)
        there = is_box(boxes, kinds)
        corners = form.corners(labels, image_size)[there]
        if len(corners) and _is_possible(boxes[there], kinds[there], corners, form, image_size):
            yield form


def _is_possible(
    boxes: Floats,
    kinds: Floats,
    corners: Floats,
    form: BoxForm,
    image_size: tuple[int, int],
) -> bool:
    """Say whether boxes [m, 4] of these classes [m], in pixels `corners` [m, 4], may be meant so."""
    if (kinds != np.round(kinds)).any() or form.shares != bool(np.abs(boxes).max() <= MOST_OUTSIDE):
        return False
    height, width = image_size
    shares = corners / np.array([width, height, width, height])
    low, high = shares[:, :2], shares[:, 2:]
    inside = (low >= 1 - MOST_OUTSIDE).all() and (high <= MOST_OUTSIDE).all()
    return bool((high > low).all() and inside)


def image_size(rows: Split) -> tuple[int, int] | None:
    """Return height and width of the images that the model takes; None where no input holds images."""
    for source in rows.inputs.values():
        if len(source.shape) == 4:
            _, first, second, third = source.shape
            if first in CHANNELS or third not in CHANNELS:
                return second, third
            return first, second
    return None
