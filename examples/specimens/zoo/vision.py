"""Convolutional nets that answer for images of any size: attention over channels and places, pyramids, maps, images."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.specimens.zoo.exporting import Input

PICTURE = Input((3, 8, 8), free=((1, "height"), (2, "width")))
CLIP = Input((2, 4, 6, 6), free=((1, "frames"),))


class Excite(nn.Module):
    """Squeeze and excitation by a view that reads the batch size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(channels, 4), nn.Linear(4, channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels = x.shape[:2]
        weight = F.hardsigmoid(self.up(torch.relu(self.down(x.mean(dim=(2, 3))))))
        return x * weight.view(batch, channels, 1, 1)


class MobileBlocks(nn.Module):
    """EfficientNet's blocks: expand, filter, excite, project; the second round a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.SiLU()
        )
        self.blocks = nn.ModuleList(self.block() for _ in range(2))
        self.last, self.head = nn.Conv2d(8, 20, 1), nn.Linear(20, 5)

    @staticmethod
    def block() -> nn.Module:
        return nn.Sequential(
            *(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.SiLU()),
            *(nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16)),
            *(nn.SiLU(), Excite(16), nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(8)),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(F.silu(self.last(x)).mean(dim=(2, 3)))


class ExcitedGroups(nn.Module):
    """SE-ResNeXt: grouped filters, excitation, a strided shortcut with a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.side = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 1, 2)
        self.down, self.up = nn.Conv2d(8, 12, 1), nn.Conv2d(12, 16, 1)
        self.filter = nn.Conv2d(12, 12, 3, 2, 1, groups=4)
        self.excite, self.head = Excite(16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        inner = self.up(torch.relu(self.filter(torch.relu(self.down(x)))))
        return self.head(torch.relu(self.excite(inner) + self.side(x)).mean(dim=(2, 3)))


class Detector(nn.Module):
    """Three levels, summed from the top down, and one head for all: classes and boxes of every place."""

    outputs = 2

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 6, 8, 10)
        self.levels = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(widths))
        self.sides = nn.ModuleList(nn.Conv2d(width, 8, 1) for width in widths[1:])
        self.look = nn.Conv2d(8, 12, 3, padding=1)
        self.what, self.where = nn.Conv2d(12, 2 * 5, 1), nn.Conv2d(12, 2 * 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = []
        for level in self.levels:
            x = torch.relu(level(x))
            features.append(x)
        top, answers = self.sides[2](features[2]), []
        for at in (2, 1, 0):
            if at < 2:
                top = self.sides[at](features[at]) + F.interpolate(top, size=features[at].shape[2:])
            seen = F.leaky_relu(self.look(top), 0.1)
            answers.append([self.flat(head(seen)) for head in (self.what, self.where)])
        what, where = zip(*answers, strict=True)
        return torch.sigmoid(torch.cat(what, dim=1)), torch.cat(where, dim=1)

    @staticmethod
    def flat(x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).permute(0, 3, 4, 1, 2)
        return x.reshape(batch, -1, channels // 2)


class Segmenter(nn.Module):
    """DeepLab's pyramid of dilations with the mean of the whole image beside; a map in the image's size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.rates = nn.ModuleList(nn.Conv2d(8, 6, 3, padding=r, dilation=r) for r in (1, 2))
        self.whole, self.join = nn.Conv2d(8, 6, 1), nn.Conv2d(18, 10, 1)
        self.out = nn.Conv2d(10, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.relu(self.stem(x))
        whole = torch.relu(self.whole(F.adaptive_avg_pool2d(seen, 1)))
        parts = [torch.relu(rate(seen)) for rate in self.rates]
        parts.append(whole.expand(-1, -1, seen.shape[2], seen.shape[3]))
        answer = self.out(torch.relu(self.join(torch.cat(parts, dim=1))))
        return F.interpolate(answer, scale_factor=2.0, mode="bilinear", align_corners=False)


class Ghost(nn.Module):
    """GhostNet: half of the channels are made of the other half by cheap filters."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.cheap = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.second, self.head = nn.Conv2d(16, 12, 1), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        primary = torch.relu(self.first(x))
        x = torch.cat([primary, torch.relu(self.cheap(primary))], dim=1)
        return self.head(torch.relu(self.second(x)).mean(dim=(2, 3)))


class Attentive(nn.Module):
    """CBAM: channels weighed by one small net for mean and maximum, then places by a filter over both."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last = nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(12, 10, 1)
        self.small = nn.Sequential(nn.Conv2d(12, 4, 1), nn.ReLU(), nn.Conv2d(4, 12, 1))
        self.places, self.head = nn.Conv2d(2, 1, 3, padding=1), nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        both = (x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True))
        x = x * torch.sigmoid(self.small(both[0]) + self.small(both[1]))
        both = (x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True))
        x = x * torch.sigmoid(self.places(torch.cat(both, dim=1)))
        return self.head(torch.relu(self.last(x)).mean(dim=(2, 3)))


class Autoencoder(nn.Module):
    """Down by strides and up by transposed convolutions, to the image itself."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.ELU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ELU()
        )
        self.up = nn.Sequential(
            *(nn.ConvTranspose2d(12, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.ELU()),
            *(nn.ConvTranspose2d(8, 3, 2, 2), nn.Sigmoid()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))


class Factored(nn.Module):
    """R(2+1)D: filters in space and in time apart, round a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(2, 8, 1)
        self.space = nn.Conv3d(8, 10, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.time = nn.Conv3d(10, 8, (3, 1, 1), padding=(1, 0, 0))
        self.norm, self.head = nn.BatchNorm3d(10), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.time(torch.relu(self.norm(self.space(x)))))
        return self.head(x.mean(dim=(2, 3, 4)))


VISION = {
    "mobile": (MobileBlocks, (PICTURE,)),
    "excited_groups": (ExcitedGroups, (PICTURE,)),
    "detector": (Detector, (PICTURE,)),
    "segmenter": (Segmenter, (PICTURE,)),
    "ghost": (Ghost, (PICTURE,)),
    "attentive": (Attentive, (PICTURE,)),
    "autoencoder": (Autoencoder, (PICTURE,)),
    "factored": (Factored, (CLIP,)),
}
