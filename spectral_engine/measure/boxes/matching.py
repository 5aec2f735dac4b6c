"""Boxes matched with true ones, by pycocotools."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from spectral_engine.data.boxes import FIRST_CROWD

Array = NDArray[Any]
Floats = NDArray[np.float64]
MOST_BOXES = 100  # of one class in one image
ANY_AREA = [0.0, 1e10]


class Match(NamedTuple):
    """A found box: score, index of its class, and whether it is right, or not counted, at ten overlaps [10]."""

    score: float
    kind: int
    hit: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


def matched(answers: Array, truth: list[Floats], classes: NDArray[np.int64]) -> list[list[Match]]:
    """Return score, index of the class, hits and what is ignored at the overlaps 0.5, 0.55 … 0.95 of every box.

    Answers are [images, boxes, 6], true boxes [boxes, 5] by image: x1, y1, x2, y2, then score and class, or the class.
    A true box of the class −2 − k is a crowd of the class k: boxes of k that no true one takes and that lie in it by
    such a share are ignored.
    Boxes of other classes than these are left out, and of one class in one image all but the surest 100.
    """
    by_image: list[list[Match]] = [[] for _ in truth]
    index = {int(k): class_index for class_index, k in enumerate(classes)}
    known = [
        boxes[(boxes[:, 4] >= 0) & np.isin(boxes[:, 5], classes)].astype(float) for boxes in answers
    ]
    with redirect_stdout(StringIO()):  # pycocotools prints what it does
        judge = COCOeval(
            _dataset(truth, classes),
            _dataset([boxes[:, [0, 1, 2, 3, 5, 4]] for boxes in known], classes),
            "bbox",
        )
        judge.params.areaRng, judge.params.areaRngLbl = [ANY_AREA], ["all"]
        judge.params.maxDets = [MOST_BOXES]
        judge.evaluate()
    for image in judge.evalImgs:
        if image is not None:
            ignored = np.asarray(image["dtIgnore"]).T > 0
            hits = (np.asarray(image["dtMatches"]).T > 0) & ~ignored
            class_index = index[image["category_id"]]
            by_image[image["image_id"]] += [
                Match(score, class_index, *seen)
                for score, *seen in zip(image["dtScores"], hits, ignored, strict=True)
            ]
    return by_image


def _dataset(images: list[Floats], classes: NDArray[np.int64]) -> Any:
    """Return boxes [boxes, 5 or 6] as pycocotools takes them."""
    data = COCO()
    boxes = [(image, box) for image, group in enumerate(images) for box in group.tolist()]
    data.dataset = {
        "images": [{"id": image} for image in range(len(images))],
        "categories": [{"id": int(k)} for k in classes],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": int(FIRST_CROWD - box[4] if box[4] <= FIRST_CROWD else box[4]),
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "area": (box[2] - box[0]) * (box[3] - box[1]),
                "iscrowd": int(box[4] <= FIRST_CROWD),
                "score": box[5] if len(box) > 5 else 1.0,
            }
            for number, (image, box) in enumerate(boxes, start=1)
        ],
    }
    data.createIndex()
    return data
