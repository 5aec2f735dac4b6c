"""Nets of the usual kinds whose time is arithmetic rather than the cost of calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.quality.nets import perceptron, plain, residual
from benchmarks.widths import mobilenet

PATCH, STEPS = 4, 64


class Attention(nn.Module):
    """Self-attention with projections of their own; what a head is wide follows from the weights."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        weights = (q @ k.transpose(-2, -1) * self.size**-0.5).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))

    @property
    def size(self) -> int:
        """What a head is wide."""
        return self.query.out_features // self.heads

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, x.shape[-1] // self.heads)).transpose(1, 2)


class Encoder(nn.Module):
    """A pre-norm block of a transformer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.wide = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        return x + self.wide(self.second(x))


class VisionTransformer(nn.Module):
    """Patches of 4×4 pixels, four blocks, the mean of all patches."""

    def __init__(self, width: int = 192, heads: int = 6) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, PATCH, PATCH)
        self.blocks = nn.Sequential(*(Encoder(width, heads) for _ in range(4)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(1))


class UNet(nn.Module):
    """Two halvings, two doublings, and the ways across."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first, self.second = _twice(3, width), _twice(width, 2 * width)
        self.middle = _twice(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.upper = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.third, self.fourth = _twice(4 * width, 2 * width), _twice(2 * width, width)
        self.head = nn.Conv2d(width, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        second = self.second(self.pool(first))
        y = self.up(self.middle(self.pool(second)))
        y = self.upper(self.third(torch.cat([second, y], 1)))
        return self.head(self.fourth(torch.cat([first, y], 1)))


class Recurrent(nn.Module):
    """Two layers of LSTM, and a head on the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(64, 256, num_layers=2, batch_first=True)
        self.head = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


def resnet20() -> nn.Module:
    """Return ResNet-20 for small images (He et al. 2016)."""
    return nn.Sequential(*residual(3, (16, 32, 64), 10))


def vgg() -> nn.Module:
    """Return eight 3×3 convolutions with batch norm."""
    return nn.Sequential(
        *plain(3, (32, 32, "pool", 64, 64, "pool", 128, 128, "pool", 256, 256), 10)
    )


def _twice(before: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for count in (before, width):
        layers += [nn.Conv2d(count, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class Net:
    """A net, and the shape of one row."""

    make: Callable[[], nn.Module]
    row: tuple[int, ...]

    def build(self, seed: int = 0) -> nn.Module:
        """Return it with random weights and with norms that have seen random rows."""
        torch.manual_seed(seed)
        net = self.make()
        net.train()
        with torch.no_grad():
            for _ in range(5):
                net(torch.randn(8, *self.row))
        return net.eval()


NETS = {
    "mobilenet_v2": Net(mobilenet, (3, 64, 64)),
    "resnet20": Net(resnet20, (3, 32, 32)),
    "vgg": Net(vgg, (3, 32, 32)),
    "vit": Net(VisionTransformer, (3, 32, 32)),
    "mlp": Net(lambda: perceptron((784, 1024, 1024, 1024, 10)), (784,)),
    "lstm": Net(Recurrent, (STEPS, 64)),
    "unet": Net(UNet, (3, 64, 64)),
}
