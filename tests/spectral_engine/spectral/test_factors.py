"""Dense layers that take λ and φ apart compute what they compute with the folded weight, on the way back too."""

import pytest
import torch

from examples.specimens.zoo import specimen
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.factored import Factored
from spectral_engine.graph.loading import load
from spectral_engine.records.training import Spectral
from spectral_engine.spectral.model import SpectralModel


@pytest.mark.parametrize(
    "rows", [3, 50]
)  # fewer and more than the 12 inputs: two ways to compute it
@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("with_bias", [True, False])
def test_a_factored_layer_is_the_folded_one(rows, turned, with_bias):
    x = torch.randn(rows, 12, dtype=torch.float64, requires_grad=True)
    phi = torch.randn(7, 12, dtype=torch.float64, requires_grad=True)
    scale = torch.randn(7, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(7, dtype=torch.float64, requires_grad=True) if with_bias else None
    matrix = phi if turned else phi.t()
    tensors = [x, phi, scale] + ([] if bias is None else [bias])
    factored = Factored(matrix, scale, turned).linear(x, bias)
    wanted = x @ (scale[:, None] * phi).t() + (0 if bias is None else bias)
    torch.testing.assert_close(factored, wanted)
    weight = torch.randn_like(wanted)
    for gradient, wanted_gradient in zip(
        torch.autograd.grad((factored * weight).sum(), tensors),
        torch.autograd.grad((wanted * weight).sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(gradient, wanted_gradient)


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize(
    "name", ["perceptron_tanh", "without_bias", "encoder", "decoder", "residual"]
)
@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_a_spectral_model_computes_what_its_folded_weights_compute(name, exporter, two_sided):
    net = specimen(name, exporter)
    module = load(net.model)
    model = SpectralModel(module, couple(module), Spectral(two_sided=two_sided))
    with torch.no_grad():
        for item in model.tracked():
            item.tensor.mul_(1.1).add_(0.01)
        spectral = model(net.sample(3))
        folded = module.compute(net.sample(3), model.weights())
    for name_of_output, value in folded.items():
        torch.testing.assert_close(spectral[name_of_output], value, rtol=1e-4, atol=1e-5)
    assert bool(model.unfolded) != two_sided


def test_a_weight_that_is_also_looked_up_is_folded():
    net = specimen("decoder", "dynamo")
    module = load(net.model)
    model = SpectralModel(module, couple(module), Spectral())
    assert "embed.weight" not in model.unfolded
