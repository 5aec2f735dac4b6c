"""Losses that some exporters leave in a graph."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


def negative_log_likelihood(node: Node, mode: Mode) -> Function:
    """Of log probabilities [n, classes, ...], against classes [n, ...]."""
    ignored, reduction = node.get("ignore_index", None), node.get("reduction", "mean")

    def function(x: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return _loss(x, target, weight, ignored, reduction)

    return function


def softmax_cross_entropy(node: Node, mode: Mode) -> Function:
    """Of scores [n, classes, ...], against classes [n, ...]; the log probabilities too where they are asked for."""
    ignored, reduction = node.get("ignore_index", None), node.get("reduction", "mean")

    def function(x: Tensor, target: Tensor, weight: Tensor | None = None) -> Any:
        logs = torch.log_softmax(x, dim=1)
        loss = _loss(logs, target, weight, ignored, reduction)
        return (loss, logs) if len(node.outputs) > 1 else loss

    return function


def _loss(
    logs: Tensor, target: Tensor, weight: Tensor | None, ignored: int | None, reduction: str
) -> Tensor:
    classes = target.long().to(logs.device)
    counted = torch.ones_like(classes, dtype=torch.bool) if ignored is None else classes != ignored
    safe = torch.where(counted, classes, torch.zeros_like(classes))
    shares = (
        torch.ones_like(logs[:, 0])
        if weight is None
        else F.embedding(safe, weight[:, None])[..., 0]
    )
    shares = shares * counted
    losses = -logs.gather(1, safe.unsqueeze(1)).squeeze(1) * shares
    if reduction == "none":
        return losses
    return losses.sum() / shares.sum() if reduction == "mean" else losses.sum()


register(
    {
        "NegativeLogLikelihoodLoss": OperatorSpec(negative_log_likelihood),
        "SoftmaxCrossEntropyLoss": OperatorSpec(softmax_cross_entropy),
    },
)
