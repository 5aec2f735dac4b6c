"""A perceptron of any depth held as A = Φ Λ Φ⁻¹, with one Φ over all layers.

Φ has ones on its diagonal and P_k below it, from layer k−1 to layer k. Its inverse is full below the diagonal, and
so is A: every layer reads every layer before it. With r = Φ⁻¹ z layer by layer, no product of P is formed:

    a_k = P_k (λ_{k−1} r_{k−1}) − λ_k (P_k r_{k−1}) + b_k     z_k = σ(a_k)     r_k = z_k − P_k r_{k−1}     r_0 = x
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from benchmarks.sparcs.skips import SkipNet

Activation = Callable[[Tensor], Tensor]


class SpectralNet(nn.Module):
    """Starts as a linear map: input and hidden eigenvalues 0, those of the outputs 1; the input's stay 0."""

    def __init__(self, widths: tuple[int, ...], activation: Activation = torch.relu) -> None:
        super().__init__()
        self.widths, self.activation = widths, activation
        shapes = [(outputs, inputs) for inputs, outputs in pairwise(widths)]
        self.vectors = nn.ParameterList(
            nn.init.xavier_uniform_(torch.empty(*shape)) for shape in shapes
        )
        spectra = [torch.zeros(width) for width in widths[1:-1]] + [torch.ones(widths[-1])]
        self.spectra = nn.ParameterList(spectra)
        self.biases = nn.ParameterList(torch.zeros(width) for width in widths[1:])
        self.register_buffer("of_inputs", torch.zeros(widths[0]))

    @property
    def hidden(self) -> list[Tensor]:
        """Return the eigenvalues of each hidden layer."""
        return list(self.spectra)[:-1]

    def forward(self, x: Tensor) -> Tensor:
        r, before = x, self.of_inputs
        for vectors, spectrum, bias in zip(self.vectors, self.spectra, self.biases, strict=True):
            told = r @ vectors.T  # [rows, outputs]
            answer = (r * before) @ vectors.T - told * spectrum + bias
            r, before = self.activation(answer) - told, spectrum
        return answer


@torch.no_grad()
def fold(net: SpectralNet) -> SkipNet:
    """Return the same map in plain weights: layer k's are W_{k,k−1} times row k−1 of Φ⁻¹."""
    folded = SkipNet(net.widths, net.activation)
    inverse, before = torch.eye(net.widths[0]), net.of_inputs
    for vectors, spectrum, bias, layer in zip(
        net.vectors, net.spectra, net.biases, folded.layers, strict=True
    ):
        direct = vectors * before - spectrum[:, None] * vectors
        layer.weight.copy_(direct @ inverse)
        layer.bias.copy_(bias)
        inverse = torch.cat([-vectors @ inverse, torch.eye(len(spectrum))], dim=1)
        before = spectrum
    return folded
