"""Average precision by pycocotools, of boxes that were decoded and suppressed here."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def surest(boxes: np.ndarray, scores: np.ndarray, *, suppressed: bool) -> np.ndarray:
    """Return x1, y1, x2, y2, score, class [m, 6] of one image's corners [boxes, 4] and scores [boxes, classes].

    Where `suppressed`, boxes go that overlap a surer one of their class by more than 0.7.
    """
    kept: list[np.ndarray] = []
    for index in np.argsort(-scores.max(-1), kind="stable"):
        kind = int(scores[index].argmax())
        box = np.array([*boxes[index], scores[index, kind], kind])
        if box[4] < 0.001 or (suppressed and any(_overlap(box, other) > 0.7 for other in kept)):
            continue
        kept.append(box)
    return np.array(kept).reshape(-1, 6)


def average_precision(detections: Iterable[np.ndarray], truth: np.ndarray) -> float:
    """Return COCO's first figure; true boxes are [images, boxes, 5] with −1 in padding."""
    images, wanted, given = [], [], []
    for image, (boxes, true) in enumerate(zip(detections, truth, strict=True), start=1):
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


def coco_folder(folder: Path, rows: np.ndarray, boxes: np.ndarray) -> Path:
    """Write images [n, 1, side, side] as x.npy beside COCO's file of boxes [n, k, 5].

    Categories have the ids 3 and 8, as where a file holds some of many.
    """
    side = rows.shape[-1]
    folder.mkdir()
    np.save(folder / "x.npy", rows)
    objects = [
        (row, box) for row, image in enumerate(boxes) for box in image.tolist() if box[4] >= 0
    ]
    whole = {
        "images": [{"id": row, "width": side, "height": side} for row in range(len(rows))],
        "categories": [{"id": 8, "name": "hollow"}, {"id": 3, "name": "full"}],
        "annotations": [
            {"id": number, "image_id": row, "category_id": [3, 8][int(box[4])], "iscrowd": 0,
             "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]]}
            for number, (row, box) in enumerate(objects)
        ],
    }  # fmt: skip
    (folder / "annotations.json").write_text(json.dumps(whole))
    return folder


def _overlap(box: np.ndarray, other: np.ndarray) -> float:
    if box[5] != other[5]:
        return 0.0
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:4], other[2:4])
    shared = np.prod(np.clip(high - low, 0, None))
    areas = [np.prod(b[2:4] - b[:2]) for b in (box, other)]
    return float(shared / (sum(areas) - shared))
