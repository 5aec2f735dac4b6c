"""Running statistics of normalisations, as the final weights give them.

While weights move, a running mean lags behind them, and it has seen inputs that were swapped. At the end it becomes the
plain mean over the statistics of some batches (Wu & Johnson, Rethinking "Batch" in BatchNorm, arXiv:2105.07576, §3).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import torch
from torch import Tensor

from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.feed import Feed

NORM = "BatchNormalization"
BATCHES = 16  # as many as count in a running mean that keeps 0.9 of itself, about
FEW_BATCHES = 4  # for what is only shown


@torch.no_grad()
def settle(
    model: SpectralModel, feed: Feed, seed: int, watch: Collection[str], batches: int = BATCHES
) -> None:
    """Put the mean over some batches in the place of every running statistic; nothing else changes."""
    kept = kept_shares(model)
    if not kept:
        return
    statistics = {name: model.module.initializer(name) for name in kept}
    means = {name: torch.zeros_like(value) for name, value in statistics.items()}
    for step in range(batches):
        before = {name: value.clone() for name, value in statistics.items()}
        model(feed.batch(feed.rows_at(step, seed)).inputs, watch)
        for name, value in statistics.items():
            of_batch = _of_batch(before[name], value, kept[name])
            means[name] += (of_batch - means[name]) / (step + 1)
    variances = {node.inputs[4] for node in model.module.every_node if node.op_type == NORM}
    for name, value in statistics.items():
        # A fused multiply-add rounds otherwise than `_of_batch`: what is next to nothing may come out below zero.
        value.copy_(means[name].clamp_min(0.0) if name in variances else means[name])


def kept_shares(model: SpectralModel) -> dict[str, float]:
    """Return the share that each statistic keeps of itself at a step: its momentum, once for each that follows it."""
    shares: dict[str, float] = defaultdict(lambda: 1.0)
    for node in model.module.every_node:
        if node.op_type == NORM:
            for name in node.inputs[3:5]:
                shares[name or ""] *= node.get("momentum", 0.9)
    names = set(model.module.names)
    return {name: share for name, share in shares.items() if share < 1.0 and name in names}


def _of_batch(before: Tensor, after: Tensor, kept: float) -> Tensor:
    """Return what a step has mixed in; what it left as it was, where nothing moved."""
    return (after - kept * before) / (1 - kept)
