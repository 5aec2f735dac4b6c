"""A trained detector with boxes and scores in several outputs: as SSD, DETR, YOLO and finished lists have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from tests.support.task_nets import SIDE, Detector


class _Apart(nn.Module):
    """The detector's answers, taken apart."""

    def __init__(self, net: Detector) -> None:
        super().__init__()
        self.net = net

    def parts(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return centre and size in pixels [n, boxes, 4] and logits of the classes [n, boxes, classes]."""
        raw = self.net.head(self.net.body(images)).flatten(2)
        return self.net.placed(raw).transpose(1, 2), raw[:, 4:].transpose(1, 2)


def corners(centred: Tensor) -> Tensor:
    """Turn centre and size into two corners."""
    centre, half = centred[..., :2], centred[..., 2:] / 2
    return torch.cat([centre - half, centre + half], -1)


def nothing(logits: Tensor) -> Tensor:
    """Return the logit of "no object", beside which those of the classes mean what they did."""
    return torch.zeros_like(logits[..., :1])


class Ssd(_Apart):
    """Two corners in shares of the image, and probabilities with the background as the first class."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, logits = self.parts(images)
        return corners(boxes) / SIDE, torch.cat([nothing(logits), logits], -1).softmax(-1)


class Plain(_Apart):
    """Logits of each class before two corners in pixels: no background."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, logits = self.parts(images)
        return logits, corners(boxes)


class ClassesFirst(_Apart):
    """Rows before columns in pixels, and probabilities with the classes before the boxes."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, logits = self.parts(images)
        return corners(boxes)[..., [1, 0, 3, 2]], torch.sigmoid(logits).transpose(1, 2)


class Unsuppressed(_Apart):
    """Two corners in pixels [n, boxes, 4] and probabilities [n, classes, boxes]."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, logits = self.parts(images)
        return corners(boxes), torch.sigmoid(logits).transpose(1, 2)


class Detr(_Apart):
    """Logits with "no object" as the last class, and centre and size in shares of the image."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, logits = self.parts(images)
        return torch.cat([logits, nothing(logits)], -1), boxes / SIDE


class Numbered(_Apart):
    """As DETR has it, with classes where COCO's file counts them: the numbers 3 and 8 of ten, "no object" last."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, logits = self.parts(images)
        never = nothing(logits).repeat(1, 1, 4) - 20
        classes = [
            never[..., :3],
            logits[..., :1],
            never,
            logits[..., 1:],
            never[..., :1],
            nothing(logits),
        ]
        return torch.cat(classes, -1), boxes / SIDE


class Heads(_Apart):
    """Centre and size in pixels, objectness, and classes given an object, each for itself."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes, logits = self.parts(images)
        best = logits.amax(-1, keepdim=True)
        return boxes, torch.sigmoid(best), torch.exp(logits - best)


class Listed(_Apart):
    """The surest boxes: two corners in pixels, scores, labels from 1 on, and how many there are."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        boxes, logits = self.parts(images)
        best, kinds = torch.sigmoid(logits).max(-1)
        score, indices = best.topk(12)
        best_boxes = corners(boxes).gather(1, indices[..., None].expand(-1, -1, 4))
        return best_boxes, score, kinds.gather(1, indices) + 1, (score > 0.001).sum(1)


class Offsets(_Apart):
    """Offsets from the middle of each cell, with six more numbers a box, beside logits: nothing says which cells."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.net.head(self.net.body(images)).flatten(2).transpose(1, 2)
        return torch.cat([raw[..., :4], raw[..., :4], raw[..., :2]], -1), raw[..., 4:]


class Maps(_Apart):
    """The raw head: channels [n, 4 + classes, rows, columns]."""

    def forward(self, images: Tensor) -> Tensor:
        return self.net.head(self.net.body(images))


def with_suppression(model: Path, path: Path, *, rows: bool) -> Path:
    """Append NonMaxSuppression to a net of one row with outputs `boxes` [1, k, 4] and `scores` [1, classes, k].

    It then lists boxes, scores and labels from 1 on: with an axis of `rows` as TensorFlow has it, without it as
    torchvision has it.
    """
    proto = onnx.load(model)
    graph = proto.graph
    one = {"one": [1], "two": [2], "zero": [0], "most": [10]}
    for name, value in one.items():
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    for name, number in (("overlap", 0.7), ("least", 0.02)):
        graph.initializer.append(numpy_helper.from_array(np.array([number], np.float32), name))
    node = helper.make_node
    graph.node.extend(
        [
            node("NonMaxSuppression", ["boxes", "scores", "most", "overlap", "least"], ["picked"]),
            node("Gather", ["picked", "two"], ["column"], axis=1),
            node("Squeeze", ["column", "one"], ["place"]),
            node("Gather", ["picked", "one"], ["kind"], axis=1),
            node("Squeeze", ["kind", "one"], ["class"]),
            node("Add", ["class", "one"], ["label"]),
            node("Squeeze", ["boxes", "zero"], ["all_boxes"]),
            node("Gather", ["all_boxes", "place"], ["found_boxes"], axis=0),
            node("GatherND", ["scores", "picked"], ["found_scores"]),  # by image, class and box
        ]
    )
    names = ["found_boxes", "found_scores", "label"]
    if rows:
        graph.node.extend(node("Unsqueeze", [name, "zero"], [f"{name}_"]) for name in names)
        names = [f"{name}_" for name in names]
    del graph.output[:]
    kinds = [TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64]
    for name, kind, more in zip(names, kinds, ([4], [], []), strict=True):
        shape = [*([1] if rows else []), "m", *more]
        graph.output.append(helper.make_tensor_value_info(name, kind, shape))
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)
    return path
