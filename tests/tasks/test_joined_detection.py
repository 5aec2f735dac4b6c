"""Detectors with boxes and scores in several outputs: joined, judged as by pycocotools, and taught by the original."""

from functools import partial

import numpy as np
import onnxruntime
import pytest
import torch

import spectral_engine as se
from spectral_engine.errors import DatasetMismatch
from tests.support.coco import average_precision, coco_folder, surest
from tests.support.detection_job import BOXES, PARTS, QUICK, X
from tests.support.detector_nets import (
    ClassesFirst,
    Detr,
    Heads,
    Listed,
    Maps,
    Numbered,
    Offsets,
    Plain,
    Ssd,
    Unsuppressed,
    with_suppression,
)
from tests.support.task_nets import SIDE, detector, export


def centred(boxes):
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return np.concatenate([centre - half, centre + half], -1)


def softmax(logits):
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


# Each net with the names of its outputs, what is said of them, and how they become corners in pixels and scores.
NETS = {
    "SSD": (Ssd, ["boxes", "scores"], "SSD, x1y1x2y2 in shares of the image, first class is the background",
            lambda boxes, scores: (boxes * SIDE, scores[..., 1:])),
    "no background": (Plain, ["scores", "boxes"], "boxes and scores, x1y1x2y2 in pixels, sigmoid of scores",
                      lambda scores, boxes: (boxes, 1 / (1 + np.exp(-scores)))),
    "classes first": (ClassesFirst, ["boxes", "scores"], "boxes and scores, y1x1y2x2 in pixels",
                      lambda boxes, scores: (boxes[..., [1, 0, 3, 2]], scores.transpose(0, 2, 1))),
    "DETR": (Detr, ["logits", "pred_boxes"],
             "DETR, cxcywh in shares of the image, softmax of scores, last class is the background",
             lambda logits, boxes: (centred(boxes) * SIDE, softmax(logits)[..., :-1])),
    "heads": (Heads, ["boxes", "objectness", "classes"], "boxes, objectness and classes, cxcywh in pixels",
              lambda boxes, sure, kinds: (centred(boxes), sure * kinds)),
}  # fmt: skip


def data(path):
    arrays = {f"x_{part}": X[rows] for part, rows in PARTS.items()}
    arrays |= {f"y_{part}": BOXES[rows] for part, rows in PARTS.items()}
    np.savez(path, **arrays)
    return path


def exported(net, path, names):
    return export(net(detector()), (torch.zeros(2, 1, SIDE, SIDE),), path, ["x"], tuple(names))


def outside(model, decoded, rows, *, suppressed):
    """AP by pycocotools, of what onnxruntime answers, decoded here."""
    answers = onnxruntime.InferenceSession(str(model)).run(None, {"x": X[rows]})
    boxes, scores = (part.astype(float) for part in decoded(*answers))
    detections = (
        surest(*image, suppressed=suppressed) for image in zip(boxes, scores, strict=True)
    )
    return average_precision(detections, BOXES[rows])


@pytest.mark.parametrize("name", NETS)
def test_boxes_and_scores_apart_are_read_together(name, tmp_path):
    net, names, said, decoded = NETS[name]
    model = exported(net, tmp_path / "net.onnx", names)
    checked = se.check(model, data(tmp_path / "d.npz"))
    assert checked.meaning.task == "detection"
    assert set(checked.meaning.output.split(" + ")) == set(names)
    assert said in checked.meaning.reading
    wanted = outside(model, decoded, PARTS["val"], suppressed=name != "DETR")
    assert checked.original.value == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("name", ["SSD", "DETR", "heads"])
def test_a_detector_with_several_outputs_goes_through_the_job(name, tmp_path):
    net, names, _, decoded = NETS[name]
    model = exported(net, tmp_path / "net.onnx", names)
    result = se.compress(model, data(tmp_path / "d.npz"), QUICK)
    before = result.report.data.baseline.metric
    suppressed = name != "DETR"
    wanted = outside(model, decoded, PARTS["test"], suppressed=suppressed)
    assert before.value == pytest.approx(wanted, abs=1e-6)
    (tmp_path / "after.onnx").write_bytes(result.chosen.model_bytes)
    after = result.chosen.entry.measurement.metric
    wanted = outside(tmp_path / "after.onnx", decoded, PARTS["test"], suppressed=suppressed)
    assert after.value == pytest.approx(wanted, abs=1e-6)
    assert after.value > 0.25 * before.value  # the original taught it
    assert result.outcome == "target_met"


def listed(model, rows):
    """AP by pycocotools of finished boxes, one image at a time."""
    session = onnxruntime.InferenceSession(str(model))
    detections = []
    for image in X[rows]:
        boxes, scores, labels, *count = session.run(None, {"x": image[None]})
        many = int(count[0][0]) if count else scores.size
        parts = boxes.reshape(-1, 4), scores.reshape(-1, 1), labels.reshape(-1, 1) - 1
        detections.append(np.concatenate(parts, axis=1)[:many].astype(float))
    return average_precision(detections, BOXES[rows])


def chosen(path):
    return exported(Listed, path, ["boxes", "scores", "labels", "num"])


def suppressed(path, *, rows):
    inner = export(
        Unsuppressed(detector()), (torch.zeros(1, 1, SIDE, SIDE),), path.with_suffix(".inner"), ["x"],
        ("boxes", "scores"), frozen=True,
    )  # fmt: skip
    return with_suppression(inner, path, rows=rows)


LISTS = {
    "surest": chosen,
    "suppressed": partial(suppressed, rows=True),
    "without rows": partial(suppressed, rows=False),
}


@pytest.mark.parametrize("name", LISTS)
def test_finished_boxes_in_several_outputs_are_trained_by_what_they_are_chosen_from(name, tmp_path):
    model = LISTS[name](tmp_path / "net.onnx")
    result = se.compress(model, data(tmp_path / "d.npz"), QUICK)
    report = result.report.data
    assert "finished boxes, x1y1x2y2 in pixels" in report.data.meaning.reading
    before = report.baseline.metric
    assert before.value == pytest.approx(listed(model, PARTS["test"]), abs=1e-6)
    (tmp_path / "after.onnx").write_bytes(result.chosen.model_bytes)
    after = result.chosen.entry.measurement.metric
    assert after.value == pytest.approx(listed(tmp_path / "after.onnx", PARTS["test"]), abs=1e-6)
    assert after.value > 0.25 * before.value
    assert result.outcome == "target_met"


def test_a_model_may_count_classes_as_cocos_file_does(tmp_path):
    model = exported(Numbered, tmp_path / "net.onnx", ["logits", "pred_boxes"])
    checked = se.check(model, coco_folder(tmp_path / "d", X, BOXES))
    assert checked.meaning.order == "numbers in the file"
    assert checked.meaning.classes == ["0", "1", "2", "full", "4", "5", "6", "7", "hollow"]
    assert set(checked.original.per_class) == {"full", "hollow"}
    np.savez(tmp_path / "plain.npz", x=X, y=BOXES)
    plain = exported(Detr, tmp_path / "plain.onnx", ["logits", "pred_boxes"])
    same = se.check(plain, tmp_path / "plain.npz")
    assert checked.original.value == pytest.approx(same.original.value, abs=1e-3)


def test_offsets_from_anchors_are_refused_by_name(tmp_path):
    model = exported(Offsets, tmp_path / "net.onnx", ["regressors", "classificators"])
    with pytest.raises(DatasetMismatch, match="offsets from anchors"):
        se.compress(model, data(tmp_path / "d.npz"), QUICK)


def test_raw_heads_are_refused_by_name(tmp_path):
    model = exported(Maps, tmp_path / "net.onnx", ["head"])
    with pytest.raises(DatasetMismatch, match="Raw heads") as error:
        se.compress(model, data(tmp_path / "d.npz"), QUICK)
    assert error.value.pointer == "#/y"
