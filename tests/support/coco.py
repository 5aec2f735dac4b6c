"""Average precision by pycocotools, of boxes that were decoded and suppressed here."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def surest(boxes: np.ndarray, scores: np.ndarray, *, suppressed: bool) -> np.ndarray:
    """Return x1, y1, x2, y2, score, class [m, 6] of one image's corners [boxes, 4] and scores [boxes, classes].

    Where `suppressed`, boxes go that overlap a surer one of their class by more than 0.7.
    """
    kept: list[np.ndarray] = []
    for place in np.argsort(-scores.max(-1), kind="stable"):
        kind = int(scores[place].argmax())
        box = np.array([*boxes[place], scores[place, kind], kind])
        if box[4] < 0.001 or (suppressed and any(_overlap(box, other) > 0.7 for other in kept)):
            continue
        kept.append(box)
    return np.array(kept).reshape(-1, 6)


def average_precision(found: Iterable[np.ndarray], truth: np.ndarray) -> float:
    """Return COCO's first figure; true boxes are [images, boxes, 5] with −1 in padding."""
    images, wanted, given = [], [], []
    for image, (boxes, true) in enumerate(zip(found, truth, strict=True), start=1):
        images.append({"id": image})
        for x, y, right, below, kind in true[true[:, 4] >= 0].tolist():
            size = [right - x, below - y]
            wanted.append(
                {"id": len(wanted) + 1, "image_id": image, "category_id": int(kind), "iscrowd": 0,
                 "bbox": [x, y, *size], "area": size[0] * size[1]}
            )  # fmt: skip
        for x, y, right, below, score, kind in boxes.tolist():
            given.append(
                {"image_id": image, "category_id": int(kind), "bbox": [x, y, right - x, below - y],
                 "score": score}
            )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = {
            "images": images,
            "annotations": wanted,
            "categories": [
                {"id": int(kind)} for kind in np.unique(truth[truth[..., 4] >= 0][:, 4])
            ],
        }
        data.createIndex()
        judge = COCOeval(data, data.loadRes(given), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0])


def _overlap(box: np.ndarray, other: np.ndarray) -> float:
    if box[5] != other[5]:
        return 0.0
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:4], other[2:4])
    shared = np.prod(np.clip(high - low, 0, None))
    areas = [np.prod(b[2:4] - b[:2]) for b in (box, other)]
    return float(shared / (sum(areas) - shared))
