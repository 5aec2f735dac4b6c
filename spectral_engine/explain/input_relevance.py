"""Relevance of input features, by eigenvalues on the input nodes."""

from __future__ import annotations

from torch import Tensor

from spectral_engine.explain.input_path import InputPath
from spectral_engine.graph.module import OnnxModule
from spectral_engine.training.feed import Feed
from spectral_engine.training.objective import Objective


def input_relevance(
    module: OnnxModule, objective: Objective, feed: Feed, seed: int
) -> dict[str, Tensor]:
    """Return, per float input, the relevance of each feature in the input's own shape without the batch.

    Each feature j gets an eigenvalue λ_in_j, trained from 1 towards 0 under a rising penalty (`input_path`). Its
    relevance is |λ_in_j ∂ℓ/∂λ_in_j|, the first-order change of the loss when it goes, averaged over rows and over the
    path: a feature counts for as long as the model holds on to it, and by what it does meanwhile. ℓ is the distance to
    the model's own answers. Entries of all inputs together sum to 1, or are all 0 where the answers never change.

    The score is the one that ranks nodes (Molchanov et al., CVPR 2019, in λ), here along a path instead of at one
    place; `benchmarks/input_relevance` compares it with λ_in alone, with λ_in = 1 and with others' methods.
    """
    totals: dict[str, Tensor] = {}
    for moment in InputPath(module, objective, feed, seed).walk():
        for name, value in moment.eigenvalues.items():
            change = value * moment.gradients[name].abs().mean(dim=0)
            totals[name] = totals[name] + change if name in totals else change
    whole = sum(float(total.sum()) for total in totals.values())
    return {name: total / whole if whole > 0 else total for name, total in totals.items()}
