"""Relevance of input features, by eigenvalues on the input nodes."""

from __future__ import annotations

import torch
from torch import Tensor

from spectral_engine.graph.module import OnnxModule
from spectral_engine.training.feed import Feed
from spectral_engine.training.objective import Head

ROWS = 1024


def input_relevance(module: OnnxModule, head: Head, feed: Feed) -> dict[str, Tensor]:
    """Return, per float input, the relevance of each feature in the input's own shape without the batch.

    Each feature gets an eigenvalue λ_in = 1; its relevance is the mean over rows of |λ_in ∂a/∂λ_in|, where a is the
    model's strongest answer. For one linear layer this is the mean of |x_j|·|w_ij|. After Giambagli et al.,
    "Automatic input feature relevance via spectral neural networks", arXiv:2406.01183.
    """
    totals: dict[str, Tensor] = {}
    rows = 0
    module.eval()
    for batch in feed.in_order(ROWS):
        inputs = {
            name: value.clone().requires_grad_(value.is_floating_point())
            for name, value in batch.inputs.items()
        }
        answer = module.compute(inputs, watch=(head.value,))[head.value]
        strongest = answer.flatten(1).amax(dim=1).sum()
        gated = {name: value for name, value in inputs.items() if value.requires_grad}
        if not gated:
            return {}  # tokens alone: an index has no eigenvalue
        gradients = torch.autograd.grad(strongest, list(gated.values()), allow_unused=True)
        for (name, value), gradient in zip(gated.items(), gradients, strict=True):
            change = torch.zeros_like(value) if gradient is None else (value * gradient).abs()
            total = totals.get(name, torch.zeros_like(value[0])).detach()
            totals[name] = total + change.detach().sum(dim=0)
        rows += len(batch.rows)
    return {name: total / rows for name, total in totals.items()}
