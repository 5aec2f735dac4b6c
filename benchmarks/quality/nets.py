"""The nets that are compressed, each small enough for two cores."""

from itertools import pairwise

import torch
from torch import Tensor, nn


def perceptron(widths: tuple[int, ...], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Return a dense net with an activation between its layers."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


class Pixels(nn.Module):
    """Lays flat pixels out as an image."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(-1, 1, 28, 28)


def vgg(outputs: int) -> nn.Sequential:
    """Return five 3×3 convolutions with batch norm, and a linear head, on 28×28 pixels."""
    return nn.Sequential(Pixels(), *plain(1, (16, "pool", 24, 24, "pool", 48, 48), outputs))


def plain(inputs: int, widths: tuple[int | str, ...], outputs: int) -> list[nn.Module]:
    """Return 3×3 convolutions with batch norm, pools between them, and a linear head on their means."""
    layers: list[nn.Module] = []
    for width in widths:
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
        layers.append(nn.ReLU())
        inputs = width
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, outputs)]


class Block(nn.Module):
    """Two 3×3 convolutions and a way around them (He et al. 2016)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        self.around: nn.Module = nn.Identity()
        if stride != 1 or inputs != width:
            self.around = nn.Sequential(
                nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(y)) + self.around(x))


def resnet(outputs: int) -> nn.Sequential:
    """Return a ResNet-20 of three quarters width with a stem of stride 2, on 28×28 pixels."""
    return nn.Sequential(Pixels(), *residual(1, (12, 24, 48), outputs, stem_stride=2))


def residual(
    inputs: int, widths: tuple[int, ...], outputs: int, stem_stride: int = 1
) -> list[nn.Module]:
    """Return three residual blocks of each width, behind a stem of the first and before a linear head."""
    first = widths[0]
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, first, 3, stem_stride, 1, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),
    ]
    before = first
    for width in widths:
        for index in range(3):
            stride = 2 if index == 0 and width > first else 1
            layers.append(Block(before, width, stride))
            before = width
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, outputs)]


def build(name: str, inputs: int, outputs: int) -> nn.Module:
    """Return a fresh net: `vgg`, `resnet`, or hidden widths and an activation, as `500-500-500-relu`."""
    if name == "vgg":
        return vgg(outputs)
    if name == "resnet":
        return resnet(outputs)
    *hidden, activation = name.split("-")
    kind = {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]
    return perceptron((inputs, *(int(width) for width in hidden), outputs), kind)


def layers_of(net: nn.Module) -> list[nn.Module]:
    return [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]


def hidden_nodes(net: nn.Module) -> int:
    """Return the nodes of all layers but the last."""
    layers = layers_of(net)[:-1]
    return sum(m.weight.shape[0] for m in layers)


@torch.no_grad()
def macs(net: nn.Module, inputs: int) -> int:
    """Return the multiply-adds of one sample in dense and convolutional layers."""
    total = 0

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        positions = output[0, 0].numel() if output.dim() == 4 else 1
        total += module.weight.numel() * positions

    hooks = [module.register_forward_hook(count) for module in layers_of(net)]
    training = net.training
    net.eval()(torch.zeros(1, inputs))
    net.train(training)
    for hook in hooks:
        hook.remove()
    return total
