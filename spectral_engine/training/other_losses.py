"""Losses of answers that are neither classes nor plain numbers: texts that CTC decodes, boxes, and quantiles."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.measure.boxes import Layout

SMALLEST_SHARE = 1e-6
SMALLEST_VARIANCE = 1e-12


def pinball(answer: Tensor, target: Tensor, quantiles: tuple[float, ...]) -> Tensor:
    """Return the pinball loss of each number [n, …]; several quantiles are those of the places on the last axis."""
    off, wanted = target - answer, answer.new_tensor(quantiles)
    return torch.maximum(wanted * off, (wanted - 1) * off)


def ctc_losses(logits: Tensor, labels: Tensor, blank: int) -> Tensor:
    """Return the CTC loss of each row over the length of its text [n].

    Logits are [n, steps, classes], labels class numbers [n, longest] with −1 behind the end. A text that has more
    characters than there are steps weighs nothing.
    """
    lengths = (labels >= 0).sum(dim=1)
    steps = torch.full_like(lengths, logits.shape[1])
    logs = F.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    losses: Tensor = F.ctc_loss(
        logs,
        labels.clamp_min(0).long(),
        steps,
        lengths,
        blank,
        reduction="none",
        zero_infinity=True,
    )
    return losses / lengths.clamp_min(1)


def box_distance(answer: Tensor, teacher: Tensor, layout: Layout) -> Tensor:
    """Return how far a detector's output is from the teacher's, both [n, …] in this layout.

    Scores by cross-entropy and coordinates by squared error over their variance, each place weighted by how sure the
    teacher is that there is an object: nobody sees where the boxes of the background lie.
    """
    mine, taught = _parts(answer, layout), _parts(teacher, layout)
    sure = _of_objects(_shares(taught[1], layout), layout).amax(dim=-1, keepdim=True)
    if taught[2] is not None:
        sure = sure * _shares(taught[2], layout)
    objects = sure.sum().clamp_min(1.0)
    variance = taught[0].var(dim=(0, 1), keepdim=True).clamp_min(SMALLEST_VARIANCE)
    apart = (sure * (mine[0] - taught[0]) ** 2 / variance).sum() / objects
    for answered, wanted in zip(mine[1:], taught[1:], strict=True):
        if answered is not None and wanted is not None:
            apart = apart + _cross_entropy(answered, wanted, layout) / objects
    return apart


def _parts(output: Tensor, layout: Layout) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return coordinates [n, places, 4], scores [n, places, classes], and objectness [n, places, 1]."""
    if layout.transposed:
        output = output.transpose(1, 2)
    if layout.objectness:
        return output[..., :4], output[..., 5:], output[..., 4:5]
    return output[..., :4], output[..., 4:], None


def _shares(scores: Tensor, layout: Layout) -> Tensor:
    if layout.activation == "sigmoid":
        return torch.sigmoid(scores)
    return scores.softmax(dim=-1) if layout.activation == "softmax" else scores


def _of_objects(shares: Tensor, layout: Layout) -> Tensor:
    """Leave out the class of the background."""
    if layout.background == "none":
        return shares
    return shares[..., 1:] if layout.background == "first" else shares[..., :-1]


def _cross_entropy(answered: Tensor, wanted: Tensor, layout: Layout) -> Tensor:
    """Return the summed cross-entropy above that of the teacher with itself, so that it is 0 where both agree."""
    mine, taught = (
        _shares(part, layout).clamp(SMALLEST_SHARE, 1 - SMALLEST_SHARE)
        for part in (answered, wanted)
    )
    loss = F.binary_cross_entropy(mine, taught, reduction="sum")
    return loss - F.binary_cross_entropy(taught, taught, reduction="sum")
