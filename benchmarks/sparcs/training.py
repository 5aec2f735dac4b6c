"""The search: training under the un-squared norm of spectra, then removal of the nodes of small eigenvalues."""

from typing import Literal

import torch
from torch import Tensor

from benchmarks.quality.tuning import Start, Tuner
from benchmarks.sparcs.net import SpectralNet, fold
from benchmarks.sparcs.skips import SkipNet, params_of, trim

VANISHED = 1e-3  # an eigenvalue below this counts as none
SEARCH_SHARE = (
    0.5  # of the epochs, under the regulariser; fine-tuning takes the rest, as for the peers
)
MEAN_ROWS = 2000
Over = Literal["layer", "all"]


def norm(net: SpectralNet, over: Over) -> Tensor:
    """Return the sum of each hidden layer's ‖λ‖₂, or the one norm of all hidden eigenvalues."""
    parts = net.hidden if over == "layer" else [torch.cat(net.hidden)]
    return torch.stack([torch.linalg.vector_norm(part) for part in parts]).sum()


class Search(Tuner):
    """The peers' training with the regulariser added to its loss."""

    def __init__(self, start: Start, rate: float, strength: float, over: Over) -> None:
        super().__init__(start, rate)
        self.strength, self.over = strength, over

    def loss(self, rows: Tensor) -> Tensor:
        return super().loss(rows) + self.strength * norm(self.net, self.over)


def search(
    start: Start, widths: tuple[int, ...], steps: int, rate: float, strength: float, over: Over
) -> SpectralNet:
    """Train a fresh spectral net for so many steps."""
    torch.manual_seed(start.seed + 77)
    net = SpectralNet(widths)
    Search(start, rate, strength, over).cool(net, steps)
    return net.eval()


def tune(start: Start, net: SkipNet, steps: int, rate: float) -> SkipNet:
    Tuner(start, rate).cool(net, steps)
    return net


def above(net: SpectralNet, threshold: float = VANISHED) -> list[Tensor]:
    """Return which hidden nodes have an eigenvalue of at least this size."""
    return [spectrum.detach().abs() >= threshold for spectrum in net.hidden]


def within(net: SpectralNet, params: int) -> list[Tensor]:
    """Return as many hidden nodes as fit into so many parameters, those of largest |λ| over all layers."""
    sizes = torch.cat([spectrum.detach().abs() for spectrum in net.hidden])
    order, low, high = sizes.argsort(descending=True), 0, len(sizes)
    while low < high:
        middle = (low + high + 1) // 2
        fits = params_of(_widths(net, _masks(net, order[:middle]))) <= params
        low, high = (middle, high) if fits else (low, middle - 1)
    return _masks(net, order[:low])


def _masks(net: SpectralNet, chosen: Tensor) -> list[Tensor]:
    mask = torch.zeros(sum(net.widths[1:-1]), dtype=torch.bool)
    mask[chosen] = True
    return list(mask.split(list(net.widths[1:-1])))


def _widths(net: SpectralNet, kept: list[Tensor]) -> tuple[int, ...]:
    counts = [int(mask.sum()) for mask in kept]
    return (net.widths[0], *(count for count in counts if count), net.widths[-1])


def cut(start: Start, net: SpectralNet, kept: list[Tensor]) -> SkipNet:
    return trim(fold(net), kept, torch.from_numpy(start.data.train[0][:MEAN_ROWS]))
