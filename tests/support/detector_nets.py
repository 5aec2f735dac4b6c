"""A trained detector with boxes and scores in several outputs: as SSD, DETR, YOLO and finished lists have them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.support.task_nets import SIDE, Detector


class _Apart(nn.Module):
    """The detector's answers, taken apart."""

    def __init__(self, net: Detector) -> None:
        super().__init__()
        self.net = net

    def parts(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return centre and size in pixels [n, boxes, 4] and logits of the classes [n, boxes, classes]."""
        found = self.net.head(self.net.body(images)).flatten(2)
        return self.net.placed(found).transpose(1, 2), found[:, 4:].transpose(1, 2)


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
        boxes, found = self.parts(images)
        return corners(boxes) / SIDE, torch.cat([nothing(found), found], -1).softmax(-1)


class Plain(_Apart):
    """Logits of each class before two corners in pixels: no background."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, found = self.parts(images)
        return found, corners(boxes)


class ClassesFirst(_Apart):
    """Rows before columns in pixels, and probabilities with the classes before the boxes."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, found = self.parts(images)
        return corners(boxes)[..., [1, 0, 3, 2]], torch.sigmoid(found).transpose(1, 2)


class Detr(_Apart):
    """Logits with "no object" as the last class, and centre and size in shares of the image."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, found = self.parts(images)
        return torch.cat([found, nothing(found)], -1), boxes / SIDE


class Heads(_Apart):
    """Centre and size in pixels, objectness, and classes given an object, each for itself."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes, found = self.parts(images)
        best = found.amax(-1, keepdim=True)
        return boxes, torch.sigmoid(best), torch.exp(found - best)


class Listed(_Apart):
    """The surest boxes: two corners in pixels, scores, labels from 1 on, and how many there are."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        boxes, logits = self.parts(images)
        best, kinds = torch.sigmoid(logits).max(-1)
        score, place = best.topk(12)
        found = corners(boxes).gather(1, place[..., None].expand(-1, -1, 4))
        return found, score, kinds.gather(1, place) + 1, (score > 0.001).sum(1)
