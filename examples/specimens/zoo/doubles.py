"""Nets that compute in float64, with weights of which no float32 holds the bits.

No convolution and no recurrence is among them: onnxruntime computes those in float32 alone.
"""

import torch
from torch import Tensor, nn

from examples.specimens.zoo.exporting import TOKENS, Input
from examples.specimens.zoo.perceptrons import Gated, WithoutBias, perceptron

ROW, SENTENCE = Input((12,), dtype=torch.float64), Input((6,), tokens=True)


class Normalized(nn.Module):
    """A residual step with normalisations of both kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.batch_norm = nn.Linear(12, 20), nn.BatchNorm1d(20)
        self.inner, self.layer_norm = nn.Linear(20, 20), nn.LayerNorm(20)
        self.head = nn.Linear(20, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.batch_norm(self.first(x)))
        return self.head(self.layer_norm(x + torch.tanh(self.inner(x))))


class Words(nn.Module):
    """A perceptron on the mean of embedded tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.inner, self.head = (
            nn.Embedding(TOKENS, 8),
            nn.Linear(8, 14),
            nn.Linear(14, 5),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.tanh(self.inner(self.embed(tokens).mean(dim=1))))


def exactly_double(net: nn.Module) -> nn.Module:
    """Return the net in float64, each of its parameters moved by less than float32 can tell."""
    generator = torch.Generator().manual_seed(2)
    net = net.double()
    with torch.no_grad():
        for parameter in net.parameters():
            drawn = torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.mul_(1 + 1e-9 * (1 + drawn))
    return net


DOUBLES = {
    "double_perceptron": (lambda: exactly_double(perceptron(nn.ReLU)), (ROW,)),
    "double_without_bias": (lambda: exactly_double(WithoutBias()), (ROW,)),
    "double_gated": (lambda: exactly_double(Gated()), (ROW,)),
    "double_normalized": (lambda: exactly_double(Normalized()), (ROW,)),
    "double_words": (lambda: exactly_double(Words()), (SENTENCE,)),
}
