"""Convolutional nets: residual, branching, grouped, squeezing, upsampling."""

import torch
from torch import Tensor, nn

from examples.specimens.zoo.exporting import IMAGE, SIGNAL, VOLUME


class Residual(nn.Module):
    """Stem and blocks share one row of channels; one block goes round by a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(8)
        self.a = nn.Conv2d(8, 8, 3, padding=1)
        self.b = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.down = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.side = nn.Conv2d(8, 12, 1, stride=2)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem_norm(self.stem(x)))
        x = torch.relu(x + self.norm(self.b(torch.relu(self.a(x)))))
        x = torch.relu(self.down(x) + self.side(x))
        return self.head(x.mean(dim=(2, 3)))


class PreActivation(nn.Module):
    """Normalisations before the convolutions, so that no exporter folds them away."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm_a, self.norm_b = nn.BatchNorm2d(8), nn.BatchNorm2d(10)
        self.a, self.b = nn.Conv2d(8, 10, 3, padding=1), nn.Conv2d(10, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.b(torch.relu(self.norm_b(self.a(torch.relu(self.norm_a(x))))))
        return self.head(nn.functional.adaptive_avg_pool2d(torch.relu(x), 1).flatten(1))


class Inception(nn.Module):
    """Branches joined along the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 6, 1)
        self.three = nn.Conv2d(3, 7, 3, padding=1)
        self.five = nn.Conv2d(3, 4, 5, padding=2)
        self.after = nn.Conv2d(17, 9, 3, padding=1)
        self.head = nn.Linear(9 * 16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([torch.relu(conv(x)) for conv in (self.one, self.three, self.five)], dim=1)
        x = nn.functional.max_pool2d(torch.relu(self.after(x)), 2)
        return self.head(x.flatten(1))


class Depthwise(nn.Module):
    """Inverted residual: expand, filter each channel alone, project back."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.expand = nn.Conv2d(8, 24, 1)
        self.filter = nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.project = nn.Conv2d(24, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.hardswish(self.stem(x))
        x = x + self.project(nn.functional.relu6(self.filter(nn.functional.relu6(self.expand(x)))))
        return self.head(x.mean(dim=(2, 3)))


class SqueezeExcite(nn.Module):
    """Channels weighed by what a small net says of their means."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 10, 3, padding=1)
        self.squeeze, self.excite = nn.Conv2d(10, 4, 1), nn.Conv2d(4, 10, 1)
        self.head = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.nn.functional.silu(self.stem(x))
        weight = torch.sigmoid(
            self.excite(torch.relu(self.squeeze(x.mean(dim=(2, 3), keepdim=True))))
        )
        return self.head((x * weight).mean(dim=(2, 3)))


def plain_convolutions(activation: nn.Module) -> nn.Module:
    """Convolution, pooling, flatten, dense: the flattened axis repeats every channel."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        activation,
        nn.AvgPool2d(2),
        nn.Conv2d(8, 6, 2),
        activation,
        nn.Flatten(),
        nn.Linear(6 * 4, 16),
        activation,
        nn.Dropout(0.3),
        nn.Linear(16, 5),
    )


def vgg() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(48, 5),
    )


class Signal(nn.Module):
    """Conv1d over a signal, reshaped by a view that reads the batch size."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(2, 8, 3, padding=1), nn.Conv1d(8, 6, 3, stride=2)
        self.head = nn.Linear(6 * 5, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.leaky_relu(self.first(x.view(x.size(0), 2, 12)), 0.1)
        x = nn.functional.gelu(self.second(x))
        return self.head(x.view(x.size(0), -1))


class Bottleneck(nn.Module):
    """ResNeXt's block: down, grouped filter, up, round a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.down, self.up = nn.Conv2d(16, 12, 1), nn.Conv2d(12, 16, 1)
        self.grouped = nn.Conv2d(12, 12, 3, padding=1, groups=6)
        self.norm = nn.BatchNorm2d(12)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        inner = torch.relu(self.norm(self.grouped(torch.relu(self.down(x)))))
        return self.head(torch.relu(x + self.up(inner)).mean(dim=(2, 3)))


class Shuffle(nn.Module):
    """ShuffleNet v2's block: one half goes round, the channels are shuffled afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.one, self.filter = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.two, self.last = nn.Conv2d(8, 8, 1), nn.Conv2d(16, 10, 1)
        self.head = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        left, right = x.chunk(2, dim=1)
        right = torch.relu(self.two(self.filter(torch.relu(self.one(right)))))
        x = torch.cat([left, right], dim=1)
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(x.shape)
        return self.head(torch.relu(self.last(x)).mean(dim=(2, 3)))


class Dense(nn.Module):
    """DenseNet's block: every layer reads all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8 + 6 * i) for i in range(3))
        self.layers = nn.ModuleList(nn.Conv2d(8 + 6 * i, 6, 3, padding=1) for i in range(3))
        self.head = nn.Linear(26, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = torch.cat([x, layer(torch.relu(norm(x)))], dim=1)
        return self.head(torch.relu(x).mean(dim=(2, 3)))


class C2f(nn.Module):
    """YOLO's block: split, a chain over one part, everything joined again."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 16, 1), nn.Conv2d(24, 12, 1)
        self.a, self.b = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        act = nn.functional.silu
        parts = list(act(self.first(x)).split((8, 8), dim=1))
        parts.append(parts[-1] + act(self.b(act(self.a(parts[-1])))))
        return self.head(act(self.last(torch.cat(parts, dim=1))).mean(dim=(2, 3)))


class UNet(nn.Module):
    """Down and up by a transposed convolution, with a skip across."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 3, padding=1)
        self.up, self.join = nn.ConvTranspose2d(12, 8, 2, stride=2), nn.Conv2d(16, 9, 3, padding=1)
        self.out = nn.Conv2d(9, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = torch.relu(self.down(x))
        deep = torch.relu(self.deep(nn.functional.max_pool2d(skip, 2)))
        x = torch.cat([skip, torch.relu(self.up(deep))], dim=1)
        return self.out(torch.relu(self.join(x))).mean(dim=(2, 3))


class UNetResize(nn.Module):
    """The same by interpolation, with a sum across."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.out = nn.Conv2d(8, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = torch.relu(self.down(x))
        deep = torch.relu(self.deep(nn.functional.avg_pool2d(skip, 2)))
        up = nn.functional.interpolate(deep, scale_factor=2.0, mode="nearest")
        return self.out(torch.relu(skip + up)).mean(dim=(2, 3))


class Pyramid(nn.Module):
    """A feature pyramid with an answer at each level."""

    outputs = 2

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 14, 3, 2, padding=1)
        self.side_low, self.side_high = nn.Conv2d(8, 10, 1), nn.Conv2d(14, 10, 1)
        self.answer = nn.Conv2d(10, 5, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low = torch.relu(self.low(x))
        high = self.side_high(torch.relu(self.high(low)))
        low = self.side_low(low) + nn.functional.interpolate(high, scale_factor=2.0)
        return self.answer(low).mean(dim=(2, 3)), self.answer(high).mean(dim=(2, 3))


class ConvNeXt(nn.Module):
    """Depthwise filter, layer norm over channels that come last, an inverted bottleneck, a scale for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.filter = (
            nn.Conv2d(3, 10, 2, stride=2),
            nn.Conv2d(10, 10, 3, padding=1, groups=10),
        )
        self.norm, self.wide, self.narrow = nn.LayerNorm(10), nn.Linear(10, 24), nn.Linear(24, 10)
        self.scale = nn.Parameter(torch.rand(10) + 0.5)
        self.head = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        inner = self.norm(self.filter(x).permute(0, 2, 3, 1))
        inner = self.scale * self.narrow(nn.functional.gelu(self.wide(inner)))
        return self.head((x + inner.permute(0, 3, 1, 2)).mean(dim=(2, 3)))


class GroupNormed(nn.Module):
    """Normalised by groups of channels, by instances, and padded where the shortcut is narrower."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = (
            nn.Conv2d(3, 8, 3, padding=1),
            nn.Conv2d(8, 12, 3, stride=2, padding=1),
        )
        self.norm, self.single = nn.GroupNorm(4, 8), nn.InstanceNorm2d(12, affine=True)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        short = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))
        return self.head(torch.relu(short + self.single(self.deep(x))).mean(dim=(2, 3)))


def volumes() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(2, 8, 3, padding=1),
        nn.BatchNorm3d(8),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(8, 10, (1, 3, 3)),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(10, 5),
    )


class PixelShuffle(nn.Module):
    """Space made of channels, and channels of space."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(12, 16, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(nn.functional.pixel_unshuffle(x, 2)))
        return self.head(
            torch.relu(self.second(nn.functional.pixel_shuffle(x, 2))).mean(dim=(2, 3))
        )


class Dilated(nn.Module):
    """A temporal convolutional net: dilated, causal, cut at the end, with weight-normalised kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(2, 8, 3, padding=2)
        self.second = nn.Conv1d(8, 8, 3, padding=4, dilation=2)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x.reshape(-1, 2, 12))[:, :, :-2])
        x = x + torch.relu(self.second(x)[:, :, :-4])
        return self.head(x[:, :, -1])


CONVOLUTIONAL = {
    "residual": (Residual, (IMAGE,)),
    "pre_activation": (PreActivation, (IMAGE,)),
    "inception": (Inception, (IMAGE,)),
    "depthwise": (Depthwise, (IMAGE,)),
    "squeeze_excite": (SqueezeExcite, (IMAGE,)),
    "plain_elu": (lambda: plain_convolutions(nn.ELU()), (IMAGE,)),
    "plain_sigmoid": (lambda: plain_convolutions(nn.Sigmoid()), (IMAGE,)),
    "vgg": (vgg, (IMAGE,)),
    "signal": (Signal, (SIGNAL,)),
    "bottleneck": (Bottleneck, (IMAGE,)),
    "shuffle": (Shuffle, (IMAGE,)),
    "dense": (Dense, (IMAGE,)),
    "c2f": (C2f, (IMAGE,)),
    "unet": (UNet, (IMAGE,)),
    "unet_resize": (UNetResize, (IMAGE,)),
    "pyramid": (Pyramid, (IMAGE,)),
    "convnext": (ConvNeXt, (IMAGE,)),
    "group_normed": (GroupNormed, (IMAGE,)),
    "volumes": (volumes, (VOLUME,)),
    "pixel_shuffle": (PixelShuffle, (IMAGE,)),
    "dilated": (Dilated, (SIGNAL,)),
}
