"""Boxes out of the usual layouts: written in every one of them, and read back."""

import numpy as np
import pytest
import torch
from scipy.special import logit

from spectral_engine.measure.boxes import box_layouts, decode, fits, joined_layouts, possible_joins
from spectral_engine.measure.boxes.suppression import OVERLAP, survivors
from spectral_engine.measure.metrics import metric_rule

HEIGHT, WIDTH, CLASSES, BOXES = 48, 64, 3, 40
IMAGES = 12


def truth(seed=0):
    """Boxes [images, 4, 5] in the image, apart from each other."""
    rng = np.random.default_rng(seed)
    corner = np.array([[2, 2], [34, 2], [2, 26], [34, 26]]) + rng.uniform(0, 6, (IMAGES, 4, 2))
    size = rng.uniform(10, 16, (IMAGES, 4, 2))
    kind = rng.integers(0, CLASSES, (IMAGES, 4, 1))
    return np.concatenate([corner, corner + size, kind], axis=-1)


def answers(seed=0):
    """Corners [images, boxes, 4], probabilities [images, boxes, classes]: true boxes, and others with small scores."""
    rng = np.random.default_rng(seed)
    labels = truth(seed)
    corners = np.concatenate([labels[..., :4], np.zeros((IMAGES, BOXES - 4, 4))], axis=1)
    corners[:, 4:, :2] = rng.uniform(0, 30, (IMAGES, BOXES - 4, 2))
    corners[:, 4:, 2:] = corners[:, 4:, :2] + rng.uniform(3, 9, (IMAGES, BOXES - 4, 2))
    shares = rng.uniform(0.01, 0.05, (IMAGES, BOXES, CLASSES))
    for box in range(4):
        kind = labels[:, box, 4].astype(int)
        shares[np.arange(IMAGES), box, kind] = rng.uniform(0.7, 0.9, IMAGES)
    order = rng.permutation(BOXES)
    return corners[:, order], shares[:, order]


def centred(corners):
    low, high = corners[..., :2], corners[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=-1)


def shared(corners):
    return corners / np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])


CORNERS, SHARES = answers()
NOTHING = 1 - SHARES.max(axis=-1, keepdims=True)
BEST, KIND = SHARES.max(axis=-1, keepdims=True), SHARES.argmax(axis=-1)[..., None]
BACKGROUND_FIRST = np.concatenate([NOTHING, SHARES], axis=-1)
BACKGROUND_LAST = np.concatenate([SHARES, NOTHING], axis=-1)
YOLO5 = np.concatenate([centred(CORNERS), np.ones_like(BEST), SHARES], axis=-1)
YOLO8 = np.concatenate([centred(CORNERS), SHARES], axis=-1)
LISTED = np.concatenate([CORNERS, BEST, KIND], axis=-1)
WRITTEN = {
    "YOLOv5, pixels": YOLO5,
    "YOLOv8, pixels": YOLO8.transpose(0, 2, 1),
    "YOLOv8, boxes first": YOLO8,
    "YOLOv8, shares": np.concatenate([centred(shared(CORNERS)), SHARES], -1).transpose(0, 2, 1),
    "YOLOv8, logits": np.concatenate([centred(CORNERS), logit(SHARES)], -1).transpose(0, 2, 1),
    "YOLOv10": LISTED,
}
APART = {
    "SSD, background first": [shared(CORNERS), BACKGROUND_FIRST],
    "SSD, scores before boxes": [BACKGROUND_FIRST, shared(CORNERS)],
    "SSD, pixels": [CORNERS, SHARES],
    "SSD, rows before columns": [shared(CORNERS)[..., [1, 0, 3, 2]], SHARES],
    "SSD, logits with a background": [shared(CORNERS), np.log(BACKGROUND_FIRST)],
    "coordinates before boxes": [CORNERS.transpose(0, 2, 1), SHARES.transpose(0, 2, 1)],
    "DETR": [np.log(BACKGROUND_LAST), centred(shared(CORNERS))],
    "RT-DETR": [logit(SHARES), centred(shared(CORNERS))],
    "heads": [centred(CORNERS), BEST, SHARES / BEST],
    "heads, logits": [logit(BEST)[..., 0], logit(SHARES / BEST * 0.99), CORNERS],
    "finished": [CORNERS, BEST[..., 0], KIND[..., 0].astype(np.int64)],
    "finished, all floats": [shared(CORNERS)[..., [1, 0, 3, 2]], KIND[..., 0].astype(float), BEST[..., 0]],
    "finished, score beside coordinates": [LISTED[..., :5], KIND[..., 0].astype(np.int64)],
}  # fmt: skip


def readings(outputs):
    """All layouts that outputs may have, with their answers, joined where they come apart."""
    if isinstance(outputs, np.ndarray):
        return [(outputs, layout) for layout in box_layouts(outputs.shape)]
    named = {f"out {number}": output for number, output in enumerate(outputs)}
    whole = {name for name, output in named.items() if output.dtype.kind == "i"}
    joins = possible_joins({name: output.shape for name, output in named.items()}, whole)
    joined = [(join, join.of(named, np.concatenate)) for join in joins]
    return [
        (answers, layout)
        for join, answers in joined
        for layout in joined_layouts(join, answers.shape[2])
    ]


@pytest.mark.parametrize("name", [*WRITTEN, *APART])
def test_the_layout_that_knows_most_of_the_labels_is_the_one_that_was_written(name):
    labels = truth()
    rule = metric_rule("map50")
    scored = []
    for answers, layout in readings((WRITTEN | APART)[name]):
        if fits(answers, layout):
            boxes = decode(answers, layout, (HEIGHT, WIDTH))
            scored.append((rule.value(rule.rows(boxes, labels, "values")), boxes))
    score, best_boxes = max(scored, key=lambda pair: pair[0])
    assert score == pytest.approx(1.0)
    sure = best_boxes[..., 4] > 0.5
    assert (sure.sum(axis=1) == 4).all()
    for image in range(IMAGES):
        ours, theirs = best_boxes[image, sure[image]], labels[image]
        order = np.lexsort(ours[:, :2].round(3).T), np.lexsort(theirs[:, :2].round(3).T)
        np.testing.assert_allclose(ours[order[0]][:, [0, 1, 2, 3, 5]], theirs[order[1]], atol=1e-6)


def overlap(one, other):
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    common = np.prod(np.maximum(high - low, 0))
    return common / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - common)


@pytest.mark.parametrize("seed", range(5))
def test_suppression_keeps_what_no_surer_box_of_its_class_covers(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 10, (80, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(15, 25, (80, 2))], axis=1)
    kinds = rng.integers(0, 2, 80)
    kept = []
    for box in range(80):  # from the surest on
        if all(kinds[k] != kinds[box] or overlap(boxes[k], boxes[box]) <= OVERLAP for k in kept):
            kept.append(box)
    assert survivors(boxes, kinds, 300).tolist() == kept
    assert survivors(boxes, kinds, 5).tolist() == kept[:5]


def test_an_image_without_a_box_is_all_padding():
    answers = np.zeros((2, 7, 30))
    (layout, *_) = box_layouts(answers.shape)
    assert (decode(answers, layout, (32, 32))[..., 4] == -1).all()


@pytest.mark.parametrize("together", [np.concatenate, torch.cat], ids=["numpy", "torch"])
def test_places_behind_the_count_are_no_boxes(together):
    """Two images with one and three boxes of four places; what stands behind them is left from an earlier run."""
    outputs = {"num": [[1], [3]], "boxes": np.ones((2, 4, 4)).tolist(), "labels": [[1, 0, 2, 1]] * 2,
               "scores": [[0.9, 0.8, 0.7, 0.6]] * 2}  # fmt: skip
    turn = np.array if together is np.concatenate else torch.tensor
    arrays = {name: turn(value) for name, value in outputs.items()}
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    join = next(join for join in possible_joins(shapes, {"num", "labels"}) if join.finished)
    assert join.names == ("boxes", "scores", "labels", "num")
    decoded = decode(np.asarray(join.of(arrays, together)), joined_layouts(join, 6)[0], (8, 8))
    assert (decoded[..., 4] > 0).sum(axis=1).tolist() == [1, 3]
    assert decoded[1, :3, 4:].round(3).tolist() == [[0.9, 1.0], [0.8, 0.0], [0.7, 2.0]]
