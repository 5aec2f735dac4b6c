"""Detectors with boxes and scores in several outputs: joined, judged as by pycocotools, and taught by the original."""

import numpy as np
import onnxruntime
import pytest
import torch

import spectral_engine as se
from tests.support.coco import average_precision, surest
from tests.support.detector_nets import ClassesFirst, Detr, Heads, Plain, Ssd
from tests.support.task_nets import SIDE, detector, export, squares

QUICK = {
    "training": {"epochs": 8, "batch_size": 64},
    "prune": {"candidates": 1},
    "target": {"max_macs": 0.6},
}
X, BOXES = squares(360, 2)
PARTS = {"train": slice(0, 220), "val": slice(220, 290), "test": slice(290, 360)}


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


def data(place):
    arrays = {f"x_{part}": X[rows] for part, rows in PARTS.items()}
    arrays |= {f"y_{part}": BOXES[rows] for part, rows in PARTS.items()}
    np.savez(place, **arrays)
    return place


def exported(net, place, names):
    return export(net(detector()), (torch.zeros(2, 1, SIDE, SIDE),), place, ["x"], tuple(names))


def outside(model, decoded, rows, *, suppressed):
    """AP by pycocotools, of what onnxruntime answers, decoded here."""
    answers = onnxruntime.InferenceSession(str(model)).run(None, {"x": X[rows]})
    boxes, scores = (part.astype(float) for part in decoded(*answers))
    found = (surest(*image, suppressed=suppressed) for image in zip(boxes, scores, strict=True))
    return average_precision(found, BOXES[rows])


@pytest.mark.parametrize("name", NETS)
def test_boxes_and_scores_apart_are_read_together(name, tmp_path):
    net, names, said, decoded = NETS[name]
    model = exported(net, tmp_path / "net.onnx", names)
    found = se.check(model, data(tmp_path / "d.npz"))
    assert found.meaning.task == "detection"
    assert set(found.meaning.output.split(" + ")) == set(names)
    assert said in found.meaning.reading
    wanted = outside(model, decoded, PARTS["val"], suppressed=name != "DETR")
    assert found.original.value == pytest.approx(wanted, abs=1e-6)


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
