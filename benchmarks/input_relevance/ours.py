"""Ours, and what else the trained λ_in could have been read as."""

import torch
from torch import Tensor

from benchmarks.input_relevance.start import Case
from spectral_engine.explain.input_path import InputPath
from spectral_engine.explain.input_relevance import input_relevance
from spectral_engine.spectral.transfer import node_norms
from spectral_engine.training.feed import Feed

BATCH_ROWS = 128


def ours(case: Case) -> Tensor:
    """The engine's own relevance: |λ_in ∂ℓ/∂λ_in| along the path."""
    return input_relevance(case.module, case.objective, feed(case), case.seed)["x"]


def eigenvalue(case: Case) -> Tensor:
    """λ_in alone, averaged over the path: how long the model holds on to a feature."""
    path = InputPath(case.module, case.objective, feed(case), case.seed)
    return torch.stack([moment.eigenvalues["x"] for moment in path.walk()]).mean(dim=0)


def eigenvalue_norm(case: Case) -> Tensor:
    """|λ_in|·‖φ‖, the score of arXiv:2406.01183, with λ_in averaged over the path."""
    weights = [case.module.initializer(name) for name in case.module.trainable]
    first = next(w for w in weights if w.dim() == 2 and case.features in w.shape)
    return eigenvalue(case) * node_norms(first.detach(), list(first.shape).index(case.features))


def feed(case: Case) -> Feed:
    return Feed(case.explained(), BATCH_ROWS, torch.device("cpu"))


OURS = {"ours": ours, "λ_in alone": eigenvalue, "|λ_in|·‖φ‖": eigenvalue_norm}
