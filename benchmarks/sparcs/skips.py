"""Plain weights in which every layer reads all layers before it; nodes and whole layers can be taken out."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class SkipNet(nn.Module):
    """Layer k is one matrix on the inputs and all hidden layers before it, laid side by side."""

    def __init__(self, widths: tuple[int, ...], activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.widths, self.activation = widths, activation
        self.layers = nn.ModuleList(
            nn.Linear(sum(widths[:k]), widths[k]) for k in range(1, len(widths))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[-1](self.seen(x))

    def seen(self, x: Tensor) -> Tensor:
        """Return what the last layer reads: inputs, then each hidden layer."""
        for layer in self.layers[:-1]:
            x = torch.cat([x, self.activation(layer(x))], dim=1)
        return x


def macs_of(widths: tuple[int, ...]) -> int:
    """Return the multiply-adds of one sample, skips included: a weight each."""
    return sum(sum(widths[:k]) * widths[k] for k in range(1, len(widths)))


def params_of(widths: tuple[int, ...]) -> int:
    return macs_of(widths) + sum(widths[1:])


@torch.no_grad()
def trim(net: SkipNet, kept: list[Tensor], x: Tensor) -> SkipNet:
    """Return the net of the kept hidden nodes, without layers that keep none.

    The mean of a removed node on rows `x` goes into its readers' biases: exact where the node is constant.
    """
    means = net.seen(x).mean(0)
    stays = torch.cat([torch.ones(net.widths[0], dtype=torch.bool), *kept])
    outputs = [*kept, torch.ones(net.widths[-1], dtype=torch.bool)]
    left = [(layer, mask) for layer, mask in zip(net.layers, outputs, strict=True) if mask.any()]
    small = SkipNet((net.widths[0], *(int(mask.sum()) for _, mask in left)), net.activation)
    for (layer, mask), target in zip(left, small.layers, strict=True):
        weight, read = layer.weight[mask], stays[: layer.in_features]
        target.weight.copy_(weight[:, read])
        target.bias.copy_(layer.bias[mask] + weight[:, ~read] @ means[: len(read)][~read])
    return small
