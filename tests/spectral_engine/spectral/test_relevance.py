"""Relevance against its formulas, worked out on the folded weights of a small net."""

import numpy as np
import pytest
import torch
from torch import nn

from spectral_engine.graph.coupling import couple
from spectral_engine.graph.module import OnnxModule
from spectral_engine.onnx_io.load import load_model
from spectral_engine.records.training import Spectral
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.spectral.relevance import Relevance
from tests.support.task_nets import export


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 3))
    export(net, (torch.zeros(1, 5),), tmp_path / "net.onnx", ["x"], ("logits",))
    module = OnnxModule(load_model(tmp_path / "net.onnx"))
    return SpectralModel(module, couple(module), Spectral())


def weights(model):
    return [transfer.weight().detach().numpy() for transfer in model.spectral.values()]


def hidden(model, scores):
    """Scores of the two hidden layers, in their order."""
    return [scores[layer.groups] for layer in model.coupling.layers if layer.prunable]


def step(model):
    x = torch.randn(32, 5, generator=torch.Generator().manual_seed(1))
    model({"x": x})["logits"].square().mean().backward()


def first_order(model):
    """|λ ∂L/∂λ + b ∂L/∂b| = |Σ_j w_ij ∂L/∂w_ij + b_i ∂L/∂b_i|, here from λ and b themselves."""
    changes = []
    for transfer in model.coupling.transfers[:-1]:
        eigenvalues = model.spectral[transfer.weight].eigenvalues_out
        bias = model.module.initializer(transfer.bias)
        change = eigenvalues * eigenvalues.grad + bias * bias.grad
        changes.append(change.detach().abs().numpy())
    return changes


def test_sizes_are_norms_in_times_norms_out(model):
    first, second, third = weights(model)
    expected = [
        np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=0),
        np.linalg.norm(second, axis=1) * np.linalg.norm(third, axis=0),
    ]
    sizes = hidden(model, Relevance(model, "eigenvalue_outgoing").scores())
    for a, b in zip(sizes, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_the_default_is_the_geometric_mean_of_change_and_sizes(model):
    relevance = Relevance(model, "eigenvalue_taylor_outgoing")
    sizes = relevance.scores()
    np.testing.assert_array_equal(sizes, Relevance(model, "eigenvalue_outgoing").scores())
    step(model)
    relevance.observe()
    for score, change, size in zip(
        hidden(model, relevance.scores()), first_order(model), hidden(model, sizes), strict=True
    ):
        np.testing.assert_allclose(score, np.sqrt(change * size), rtol=1e-5)


def test_the_change_alone_stays_a_score_of_its_own(model):
    relevance = Relevance(model, "eigenvalue_taylor")
    step(model)
    relevance.observe()
    for score, change in zip(hidden(model, relevance.scores()), first_order(model), strict=True):
        np.testing.assert_allclose(score, change, rtol=1e-5)


def test_a_node_that_no_transfer_reads_counts_as_the_rest(model):
    relevance = Relevance(model, "eigenvalue_outgoing")
    scores = relevance.scores()
    last = next(layer for layer in model.coupling.layers if not layer.prunable)
    assert (scores[last.groups] > 0).all()
