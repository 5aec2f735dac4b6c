"""What widths on a grid are worth in onnxruntime: single layers, and whole nets cut on the grid and off it.

    python -m benchmarks.widths [--seconds 6]

Layers are timed at widths beside multiples of 8, 16 and 32, dense ones at so many more than 448. Nets are made with
random weights, scored by the norms of their nodes' weights, and cut without training by the engine's own choice.
Original and cuts run in turns in one process: processor time, one thread, one row, medians.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks import rows
from benchmarks.digits import export
from benchmarks.speed.timing import timed
from spectral_engine.cost.budget import Budget, cost_of
from spectral_engine.cost.grid import Choice, on_blocks
from spectral_engine.cost.ranking import choose_removal, floors, removable
from spectral_engine.graph.coupling import Coupling, Mark, couple
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.load import load_model
from spectral_engine.onnx_io.save import save_model
from spectral_engine.records.blocks import Blocks

SHARES = (0.5, 0.25)
GRIDS = (1, 4, 8, 16)
WIDTHS = (28, 31, 32, 33, 40, 57, 60, 64, 72)
DENSE = 448  # nodes that dense layers have besides: narrow ones are the cost of a call
EVEN_SHARE = 0.5


class Inverted(nn.Module):
    """MobileNetV2's block."""

    def __init__(self, width: int, out: int, expand: int, stride: int) -> None:
        super().__init__()
        inner = width * expand
        self.adds = stride == 1 and width == out
        wider = [] if expand == 1 else _normed(nn.Conv2d(width, inner, 1, bias=False))
        middle = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        last = nn.Conv2d(inner, out, 1, bias=False)
        self.way = nn.Sequential(*wider, *_normed(middle), last, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.way(x) if self.adds else self.way(x)


class Residual(nn.Module):
    """ResNet's basic block."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        first = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        second = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.way = nn.Sequential(*_normed(first), second, nn.BatchNorm2d(out))
        narrow = nn.Conv2d(width, out, 1, stride, bias=False)
        self.beside = nn.Identity() if (width, stride) == (out, 1) else narrow

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.beside(x) + self.way(x))


def _normed(layer: nn.Conv2d) -> list[nn.Module]:
    return [layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU()]


def mobilenet() -> nn.Module:
    """Return MobileNetV2 as it is made for small images."""
    layout = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
    )
    blocks, width = _normed(nn.Conv2d(3, 32, 3, 1, 1, bias=False)), 32
    for expand, out, count, stride in layout:
        for index in range(count):
            blocks.append(Inverted(width, out, expand, stride if index == 0 else 1))
            width = out
    blocks += _normed(nn.Conv2d(width, 640, 1, bias=False))
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(640, 10))


def resnet20() -> nn.Module:
    """Return ResNet-20 for small images."""
    blocks, width = _normed(nn.Conv2d(3, 16, 3, 1, 1, bias=False)), 16
    for out in (16, 32, 64):
        for index in range(3):
            blocks.append(Residual(width, out, 2 if index == 0 and out > 16 else 1))
            width = out
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


NETS = {"mobilenet_v2": (mobilenet, 64), "resnet20": (resnet20, 32)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of timing for each comparison")
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for row in (*nets(Path(folder), seconds), *layers(Path(folder), seconds)):
            rows.append("widths", row)
            print(row, flush=True)


def nets(folder: Path, seconds: float) -> list[dict[str, object]]:
    """Return a row for each net, share of multiply-adds and grid."""
    measured: list[dict[str, object]] = []
    for name, (make, size) in NETS.items():
        torch.manual_seed(0)
        export(make().eval(), torch.zeros(1, 3, size, size), folder / f"{name}.onnx")
        model = load_model(folder / f"{name}.onnx")
        module = OnnxModule(model)
        coupling = couple(module)
        scores = norms(module, coupling)
        paths, sizes = {(1.0, 0): folder / f"{name}.onnx"}, {}
        for share in SHARES:
            for grid in GRIDS:
                removed = choose(coupling, scores, share, grid)
                paths[share, grid] = folder / f"{name}-{share}-{grid}.onnx"
                save_model(cut(model, coupling, removed), paths[share, grid])
                sizes[share, grid] = coupling.macs(removed) / coupling.macs()
        times = timed(paths, (1, 3, size, size), seconds)
        for (share, grid), macs in sizes.items():
            ratio = times[1.0, 0] / times[share, grid]
            measured.append(
                {
                    "kind": "net",
                    "what": name,
                    "asked_macs": share,
                    "round_to": grid,
                    "macs": macs,
                    "faster": ratio,
                }
            )
    return measured


def norms(module: OnnxModule, coupling: Coupling) -> NDArray[np.float64]:
    """Return the root of the mean square of all weights that make each group [count]."""
    total, count = np.zeros(coupling.count), np.zeros(coupling.count)
    for transfer in coupling.transfers:
        ids = coupling.axes[transfer.weight][transfer.out_axis]
        if ids is not None:
            weight = module.initializer(transfer.weight).detach().numpy()
            made = np.moveaxis(weight, transfer.out_axis, 0).reshape(len(ids), -1)
            np.add.at(total, ids, (made**2).mean(1) / (made**2).mean())
            np.add.at(count, ids, 1)
    return np.sqrt(total / np.maximum(count, 1))


def choose(coupling: Coupling, scores: NDArray[np.float64], share: float, grid: int) -> Mark:
    """Return what goes for a share of the multiply-adds; no layer is left less than half of an even part."""
    budget = Budget({"macs": share * coupling.macs()})
    least = {name: max(number, round(share**0.5 * EVEN_SHARE * len(layer.groups)))
             for (name, number), layer in zip(floors(coupling, 4).items(), coupling.layers, strict=True)}  # fmt: skip
    choice = Choice(
        removed=choose_removal(coupling, scores, budget, least),
        free=removable(coupling, scores, least),
        scores=scores,
        unused=lambda removed: budget.unused_by(cost_of(coupling, removed)),
    )
    return on_blocks(coupling, Blocks(convolution=grid)).fit(choice)


def layers(folder: Path, seconds: float) -> list[dict[str, object]]:
    """Return a row for each kind of layer and width: the time of eight of them."""
    measured: list[dict[str, object]] = []
    for kind in ("conv3x3", "conv1x1", "depthwise", "dense"):
        paths: dict[int, Path] = {}
        for width in WIDTHS:
            paths[width] = folder / f"{kind}-{width}.onnx"
            net, sample = layer(kind, width)
            export(net.eval(), sample, paths[width])
        shape = (1, 3, 16, 16) if kind != "dense" else (1, 16)
        times = timed(paths, shape, seconds)
        measured += [
            {
                "kind": "layer",
                "what": kind,
                "width": width + (DENSE if kind == "dense" else 0),
                "microseconds": 1e6 * times[width],
            }
            for width in WIDTHS
        ]
    return measured


def layer(kind: str, width: int) -> tuple[nn.Module, Tensor]:
    """Return eight such layers in a row, since one alone is mostly the cost of a call, and what they take."""
    if kind == "dense":
        wide = DENSE + width
        inner = [nn.Sequential(nn.Linear(wide, wide), nn.ReLU()) for _ in range(8)]
        return nn.Sequential(nn.Linear(16, wide), *inner, nn.Linear(wide, 4)), torch.zeros(1, 16)
    size, groups = (1 if kind == "conv1x1" else 3), (width if kind == "depthwise" else 1)
    inner = [
        nn.Sequential(nn.Conv2d(width, width, size, padding=size // 2, groups=groups), nn.ReLU())
        for _ in range(8)
    ]
    return nn.Sequential(nn.Conv2d(3, width, 1), *inner), torch.zeros(1, 3, 16, 16)


if __name__ == "__main__":
    main()
