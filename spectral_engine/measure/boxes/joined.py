"""Outputs of a detector that hold boxes, scores, classes and counts apart, joined into one array."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import prod
from typing import Any

Shape = Sequence[int]
Together = Callable[[list[Any], int], Any]  # np.concatenate or torch.cat


@dataclass(frozen=True)
class Join:
    """Which outputs hold the parts of the boxes.

    `turned` parts have their boxes on the last axis. With `classes` the boxes are finished: `scores` are those of the
    class that each box has, and `count` says how many of a row's places are boxes at all. Without `scores` a fifth
    coordinate is the score.
    """

    boxes: str
    scores: str | None = None
    objectness: str | None = None
    classes: str | None = None
    count: str | None = None
    boxes_turned: bool = False
    scores_turned: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The outputs that are joined, in the order of the joined array."""
        outputs = (self.boxes, self.objectness, self.scores, self.classes, self.count)
        return tuple(name for name in outputs if name is not None)

    @property
    def name(self) -> str:
        """One name for all of them."""
        return " + ".join(self.names)

    @property
    def finished(self) -> bool:
        """True where each box has a class and the score of that."""
        return self.classes is not None

    def of(self, outputs: Mapping[str, Any], together: Together) -> Any:
        """Return [n, boxes, 4 + classes] of numpy's or torch's arrays, rows first; objectness comes before classes.

        Finished boxes give [n, boxes, 6], as a list in one output does; places beyond the count have the score 0.
        """
        boxes = _turned(outputs[self.boxes], self.boxes_turned)
        parts = [boxes]
        if self.objectness is not None:
            parts.append(_column(outputs[self.objectness]))
        if self.scores is not None:
            scores = outputs[self.scores]
            flat = scores.ndim == 2
            parts.append(_column(scores) if flat else _turned(scores, self.scores_turned))
        if self.classes is not None:
            parts.append(_column(outputs[self.classes]))
        if self.count is None:
            return together(parts, -1)
        whole = together(parts, -1)
        position = (whole[..., 4] * 0 + 1).cumsum(1)
        there = position <= outputs[self.count].reshape(-1, 1)
        return together([whole[..., :4], (whole[..., 4] * there)[..., None], whole[..., 5:]], -1)


def _turned(part: Any, turned: bool) -> Any:
    return part.swapaxes(1, 2) if turned else part


def _column(part: Any) -> Any:
    return part.reshape(len(part), -1, 1)


def possible_joins(shapes: Mapping[str, Shape], whole: Collection[str]) -> list[Join]:
    """Return what may be joined of outputs of these shapes, rows first; the most complete first.

    `whole` names those that hold whole numbers: labels and counts are among them.

    >>> shapes = {"logits": (8, 100, 92), "pred_boxes": (8, 100, 4)}
    >>> [join.name for join in possible_joins(shapes, ())]
    ['pred_boxes + logits']
    """
    numbers = [name for name in shapes if name not in whole]
    joins: list[Join] = []
    for boxes, turned, places in _coordinates(shapes, numbers):
        others = {name: shape for name, shape in shapes.items() if name != boxes}
        left = [name for name in numbers if name != boxes]
        joins += _finished(boxes, turned, places, others, left, whole)
        joins += _with_scores(boxes, turned, places, others, left)
    for boxes in numbers:
        if len(shapes[boxes]) == 3 and shapes[boxes][2] == 5:
            columns = _columns(shapes, shapes[boxes][1])
            joins += [Join(boxes, classes=name) for name in columns if name != boxes]
    return joins


def _coordinates(
    shapes: Mapping[str, Shape], numbers: Sequence[str]
) -> Iterator[tuple[str, bool, int]]:
    """Yield outputs of four numbers a box, whether these stand before the boxes, and how many boxes there are."""
    for name in numbers:
        if len(shapes[name]) == 3:
            _, first, last = shapes[name]
            if last == 4:
                yield name, False, first
            elif first == 4:
                yield name, True, last


def _columns(shapes: Mapping[str, Shape], places: int) -> list[str]:
    """Return the outputs of one number a box: [n, boxes], [n, boxes, 1] or [n, 1, boxes]."""
    return [
        name
        for name, shape in shapes.items()
        if len(shape) in {2, 3} and prod(shape[1:]) == places and places in shape[1:]
    ]


def _finished(
    boxes: str,
    turned: bool,
    places: int,
    shapes: Mapping[str, Shape],
    numbers: Sequence[str],
    whole: Collection[str],
) -> Iterator[Join]:
    """Yield boxes with one score and one class each; labels are whole numbers, or floats that hold such."""
    counts = [
        name for name in shapes if len(shapes[name]) in {1, 2} and prod(shapes[name][1:]) == 1
    ]
    counts = [name for name in counts if name in whole] or counts
    counted = [*counts[:1], None] if places > 1 else [None]
    for scores, classes in permutations(_columns(shapes, places), 2):
        if scores in numbers:
            for count in counted:
                yield Join(boxes, scores, classes=classes, count=count, boxes_turned=turned)


def _with_scores(
    boxes: str, turned: bool, places: int, shapes: Mapping[str, Shape], numbers: Sequence[str]
) -> Iterator[Join]:
    """Yield boxes with scores of all classes, with objectness where there is a column more."""
    columns = [name for name in _columns(shapes, places) if name in numbers]
    for scores in numbers:
        shape = shapes[scores]
        if len(shape) not in {2, 3} or places not in shape[1:]:
            continue
        other_way = shape[1] != places
        for objectness in (*(name for name in columns if name != scores), None):
            yield Join(boxes, scores, objectness, boxes_turned=turned, scores_turned=other_way)
