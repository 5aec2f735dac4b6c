"""Peers for links, from their papers: gradual magnitude pruning, SET, RigL, a static mask; all at ERK densities.

Every one starts from the same trained net and keeps its heaviest links. Zhu & Gupta 2017 (arXiv:1710.01878); Mocanu et
al. 2018 (SET, arXiv:1707.04780); Evci et al. 2020 (RigL and ERK, arXiv:1911.11134).
"""

import math
from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.quality.pruners import total_steps
from benchmarks.quality.start import Case
from benchmarks.quality.tuning import Tuner, cooling

Rule = Literal["gmp", "set", "rigl", "static"]
UPDATE_EVERY = 50  # steps between changes of the topology; RigL's 100, for runs a tenth as long
DROPPED = 0.3  # α of RigL, ζ of SET
MOVING_SHARE = 0.75  # of the training: RigL's T_end, and the end of the gradual schedule


class Links(nn.Module):
    """A dense layer under a mask."""

    mask: Tensor
    folded: Tensor  # the weights of the last forward pass; their gradient is dense

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().clone())
        self.bias = nn.Parameter(layer.bias.detach().clone())
        self.register_buffer("mask", torch.ones_like(self.weight))

    def forward(self, x: Tensor) -> Tensor:
        self.folded = self.weight * self.mask
        if self.folded.requires_grad:
            self.folded.retain_grad()
        return F.linear(x, self.folded, self.bias)


def masked_copy(net: nn.Module) -> nn.Sequential:
    """Return the perceptron with every dense layer under a mask."""
    return nn.Sequential(*(Links(m) if isinstance(m, nn.Linear) else m for m in net))


def masked_layers(net: nn.Module) -> Iterator[Links]:
    return (module for module in net.modules() if isinstance(module, Links))


def erk_densities(shapes: list[tuple[int, int]], density: float) -> list[float]:
    """Return the share of links in each layer: ∝ (in + out)/(in·out), at most 1, `density` over all.

    Layers that would pass 1 are dense and the rest is scaled again (Evci et al. 2020, their published procedure).
    """
    dense: set[int] = set()
    while True:
        sizes = [a * b for a, b in shapes]
        left = density * sum(sizes) - sum(sizes[i] for i in dense)
        raw = [(a + b) / (a * b) for a, b in shapes]
        factor = left / sum(raw[i] * sizes[i] for i in range(len(shapes)) if i not in dense)
        over = {i for i in range(len(shapes)) if i not in dense and raw[i] * factor > 1}
        if not over:
            return [1.0 if i in dense else raw[i] * factor for i in range(len(shapes))]
        dense |= over


def gradual_density(final: float, progress: float) -> float:
    """Return the density part-way: the cubic schedule of Zhu & Gupta 2017, eq. 1, from all links."""
    return final + (1 - final) * (1 - min(1.0, progress)) ** 3


def rigl_fraction(progress: float) -> float:
    """Return the share of links that move: α/2 (1 + cos πt/T_end), nothing after T_end."""
    return 0.0 if progress >= 1 else DROPPED / 2 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def keep_heaviest(layer: Links, density: float) -> None:
    """Mask all but the largest |w|, whether they are active now or not."""
    count = max(1, round(density * layer.mask.numel()))
    layer.mask.zero_().view(-1)[layer.weight.abs().view(-1).topk(count).indices] = 1


@torch.no_grad()
def drop_and_grow(layer: Links, fraction: float, grow_by: Tensor) -> None:
    """Drop the lightest active links, and grow as many of the inactive ones, by the largest `grow_by`, from 0."""
    active = layer.mask.view(-1) > 0
    count = min(int(fraction * active.sum()), int((~active).sum()))
    if count == 0:
        return
    weight = layer.weight.abs().view(-1).masked_fill(~active, math.inf)
    dropped = weight.topk(count, largest=False).indices
    # Links dropped now do not come back at once.
    grown = grow_by.view(-1).masked_fill(active, -math.inf).topk(count).indices
    layer.mask.view(-1)[dropped] = 0
    layer.mask.view(-1)[grown] = 1
    layer.weight.view(-1)[grown] = 0


class Topology:
    """Moves the masks of a net during its training, by one of the rules."""

    def __init__(self, net: nn.Module, rule: Rule, density: float, steps: int, seed: int) -> None:
        self.layers, self.rule = list(masked_layers(net)), rule
        self.until = MOVING_SHARE * steps
        shapes = [(m.weight.shape[1], m.weight.shape[0]) for m in self.layers]
        self.densities = erk_densities(shapes, density)
        self.random = torch.Generator().manual_seed(seed)
        self.step = 0
        if rule != "gmp":
            for layer, share in zip(self.layers, self.densities, strict=True):
                keep_heaviest(layer, share)

    def after_backward(self, _: nn.Module) -> None:
        """Change the topology where it is due; call it between backward and the optimiser's step."""
        self.step += 1
        progress = self.step / self.until
        if self.rule == "static" or (self.step % UPDATE_EVERY and progress < 1):
            return
        if progress >= 1 and self.rule != "gmp":
            return
        for layer, share in zip(self.layers, self.densities, strict=True):
            self._move(layer, share, progress)

    def _move(self, layer: Links, share: float, progress: float) -> None:
        if self.rule == "gmp":
            if progress < 1 + UPDATE_EVERY / self.until:
                keep_heaviest(layer, gradual_density(share, progress))
        elif self.rule == "set":
            drop_and_grow(layer, DROPPED, torch.rand(layer.mask.shape, generator=self.random))
        else:
            gradient = layer.folded.grad
            if gradient is not None:
                drop_and_grow(layer, rigl_fraction(progress), gradient.abs())


def train(case: Case, rule: Rule, sparsity: float, rate: float) -> nn.Module:
    """Train from the starting weights at this sparsity, and return the masked net."""
    net = masked_copy(case.start.copy())
    steps = total_steps(case)
    topology = Topology(net, rule, 1 - sparsity, steps, case.seed)
    tuner = Tuner(case.start, rate)
    tuner.begin(net)
    tuner.steps(steps, cooling(steps), topology.after_backward)
    return net


def density_of(net: nn.Module) -> float:
    """Return the share of links that are there."""
    layers = list(masked_layers(net))
    return float(sum(m.mask.sum() for m in layers)) / sum(m.mask.numel() for m in layers)
