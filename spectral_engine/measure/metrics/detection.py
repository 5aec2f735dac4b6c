"""Average precision of boxes, as COCO defines it: boxes are matched once for every image."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.boxes import PADDING
from spectral_engine.errors import DatasetMismatch
from spectral_engine.measure.boxes.matching import matched
from spectral_engine.measure.metrics.base import Form, MetricRule
from spectral_engine.measure.metrics.influence import most_lost
from spectral_engine.measure.metrics.registry import register
from spectral_engine.measure.metrics.rows import Array, Floats, Rows
from spectral_engine.records.metrics import Metric

SURE = 0.25  # the score from which another model's box stands for a true one
RECALLS = np.linspace(0.0, 1.0, 101)
CELLS = 300_000  # of the weights that are spread over boxes at once: what a cache holds


class AveragePrecision(MetricRule):
    """AP: precision over 101 levels of recall, meaned over overlaps and over the classes that occur in the labels.

    Answers are [images, boxes, 6]: x1, y1, x2, y2, score, class, with a score of −1 in padding. Labels are [images,
    boxes, 5] with a class of −1 in padding and −2 − k of a crowd of class k, in which nothing counts, or another
    model's answers, of which boxes with a score of at least 0.25 count as true.
    """

    @property
    @abstractmethod
    def overlaps(self) -> slice:
        """Which of the ten overlaps 0.5, 0.55 … 0.95 count."""

    def rows(self, answers: Array, labels: Array, form: Form) -> Rows:
        """Return every box's `score`, `kind` (−1: none) `hit` and `ignored` at ten overlaps; how many are `true`."""
        truth = _truth(answers, labels)
        classes = np.unique(
            np.concatenate([np.empty(0), *(boxes[boxes[:, 4] >= 0, 4] for boxes in truth)])
        ).astype(int)
        by_image = matched(answers, truth, classes)
        true = np.array([(boxes[:, 4:] == classes).sum(axis=0) for boxes in truth])
        true = true.reshape(len(truth), len(classes))
        width = max([1, *(len(boxes) for boxes in by_image), *(len(boxes) for boxes in truth)])
        score, kind = np.zeros((len(truth), width)), np.full((len(truth), width), -1)
        hit, ignored = (np.zeros((len(truth), width, 10), dtype=bool) for _ in range(2))
        for image, boxes in enumerate(by_image):
            for index, box in enumerate(boxes):
                score[image, index], kind[image, index] = box.score, box.kind
                hit[image, index], ignored[image, index] = box.hit, box.ignored
        values = {"score": score, "kind": kind, "hit": hit, "ignored": ignored}
        values["true"] = true.astype(np.float64)
        return Rows(values, shared={"classes": classes})

    def values(self, rows: Rows, weights: Floats) -> Floats:
        """Return the mean over the classes that occur in each resample."""
        precisions = self._by_class(rows, weights)
        defined = ~np.isnan(precisions)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(defined, precisions, 0.0).sum(axis=0) / defined.sum(axis=0))

    def by_class(self, rows: Rows) -> dict[int, float] | None:
        """Return each class's average precision."""
        precisions = self._by_class(rows, np.ones((len(rows), 1)))[:, 0]
        classes = rows.shared["classes"] if rows.shared else range(len(precisions))
        pairs = zip(classes, precisions, strict=True)
        return {int(k): float(value) for k, value in pairs if not np.isnan(value)}

    def obstacle(self, rows: Rows) -> str | None:
        """Say so where no image has a box."""
        return None if rows["true"].sum() > 0 else f"{self.name}: no image has a labelled box"

    def worst(self, before: Rows, after: Rows) -> tuple[Rows, Rows]:
        """Return the image on which most was lost.

        Where nothing was, it is the one whose boxes weigh most: all found before, and as many found elsewhere after.
        """
        hits = [rows["hit"][..., self.overlaps].sum(axis=(1, 2)) for rows in (before, after)]
        seen = most_lost(self, before, after, hits[0] - hits[1])
        if seen is not None:
            return before.take(seen), after.take(seen)
        true = before["true"]
        totals = np.maximum(true.sum(axis=0), 1.0)
        image = int(np.argmax(true @ (1 / totals)))
        kinds = np.repeat(np.arange(true.shape[1]), true[image].astype(int))
        return _all_alike(before, image, kinds, hit=True), _all_alike(
            after, image, kinds, hit=False
        )

    def _by_class(self, rows: Rows, weights: Floats) -> Floats:
        """Return average precisions [classes, resamples]; NaN where the class has no box in the resample."""
        kinds = range(rows["true"].shape[1])
        precisions = [self._of_class(rows, kind, weights) for kind in kinds]
        return np.stack(precisions) if precisions else np.full((1, weights.shape[1]), np.nan)

    def _of_class(self, rows: Rows, kind: int, weights: Floats) -> Floats:
        image, index = np.nonzero(rows["kind"] == kind)
        order = np.argsort(-rows["score"][image, index], kind="stable")
        image, index = image[order], index[order]
        hits, ignored = (rows[name][image, index][:, self.overlaps] for name in ("hit", "ignored"))
        step = max(1, CELLS // max(1, len(image)))
        chunks = [weights[:, start : start + step] for start in range(0, weights.shape[1], step)]
        return np.concatenate(
            [
                _precision(hits, ignored, chunk[image], rows["true"][:, kind] @ chunk)
                for chunk in chunks
            ]
        )


@register
class MeanAveragePrecision(AveragePrecision):
    """AP at overlaps from 0.5 to 0.95: COCO's first figure."""

    name: ClassVar[Metric] = "map"
    overlaps = slice(None)


@register
class AveragePrecisionAtHalf(AveragePrecision):
    """AP at an overlap of 0.5."""

    name: ClassVar[Metric] = "map50"
    overlaps = slice(1)


def _precision(
    hits: NDArray[np.bool_], ignored: NDArray[np.bool_], weights: Floats, true: Floats
) -> Floats:
    """Return AP [resamples], meaned over overlaps, of boxes from the surest on; `true` [resamples].

    `hits` and `ignored` are [boxes, overlaps], `weights` [boxes, resamples].

    Between two hits precision only falls and recall stays, so that hits are all the points that a curve needs. A hit
    that is in a resample twice is two points of one curve, of which the second has the higher precision.
    """
    all_boxes = np.cumsum(weights, axis=0)
    total = np.zeros(weights.shape[1])
    for hit, out in zip(hits.T, ignored.T, strict=True):
        boxes = np.cumsum(weights * ~out[:, None], axis=0) if out.any() else all_boxes
        hits_so_far = np.cumsum(weights[hit], axis=0)
        precision = hits_so_far / (boxes[hit] + np.spacing(1))
        precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        recall = np.divide(hits_so_far, true, out=np.zeros_like(hits_so_far), where=true > 0)
        level = (100 * recall + 1e-9).astype(np.int64)
        reached = np.where(hits_so_far > 0, level + (RECALLS[level] <= recall), 0)
        total += (precision * np.diff(reached, axis=0, prepend=0)).sum(axis=0) / len(RECALLS)
    return np.where(true > 0, total / hits.shape[1], np.nan)


def _truth(answers: Array, labels: Array) -> list[Floats]:
    """Return the true boxes of every image, each [boxes, 5]; raises DatasetMismatch for other shapes."""
    if (
        answers.ndim != 3
        or answers.shape[-1] != 6
        or labels.ndim != 3
        or len(labels) != len(answers)
    ):
        raise DatasetMismatch(
            f"boxes are [images, boxes, 6] as answers and [images, boxes, 5] as labels, and these have the shapes "
            f"{list(answers.shape)} and {list(labels.shape)}",
            pointer="#/y",
        )
    if labels.shape[-1] == 6:
        return [boxes[boxes[:, 4] >= SURE][:, [0, 1, 2, 3, 5]].astype(float) for boxes in labels]
    return [boxes[boxes[:, 4] != PADDING].astype(float) for boxes in labels]


def _all_alike(rows: Rows, image: int, kinds: NDArray[np.int64], *, hit: bool) -> Rows:
    """Return one image with a box for each true one, the surest of all, and all hits or none."""
    row = rows.take(np.array([image]))
    values = {name: np.zeros_like(row[name]) for name in ("score", "kind", "hit", "ignored")}
    values["kind"] -= 1
    values["score"] += rows["score"].max(initial=0.0)
    values["kind"][0, : len(kinds)] = kinds
    values["hit"][0, : len(kinds)] = hit
    return Rows(values | {"true": row["true"]}, shared=rows.shared)
