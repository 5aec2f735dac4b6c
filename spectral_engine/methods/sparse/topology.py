"""Which links a model has, and how they change: fewer while it is dense, others once it is sparse.

Everything is decided on units of the pattern. "Weight" is what a link weighs in the folded model, there or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spectral_engine.graph.coupling import Mark
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.methods.sparse.densities import link_counts
from spectral_engine.methods.sparse.link_pattern import Pattern
from spectral_engine.methods.sparse.model import SparseModel
from spectral_engine.methods.sparse.options import Distribution
from spectral_engine.methods.sparse.patterns import Layout
from spectral_engine.spectral.transfer import along


@dataclass(frozen=True)
class Change:
    """Links of one change: those that came, and those that went."""

    grown: int
    dropped: int


class Topology:
    """The masks of one model, moved by the rules of its schedule."""

    def __init__(self, model: SparseModel, pattern: Pattern, distribution: Distribution) -> None:
        self.model, self.distribution = model, distribution
        self.layouts = {
            transfer.weight: _layout(model, transfer, pattern)
            for transfer in model.coupling.transfers
            if transfer.weight in model.masks and not _is_depthwise(model, transfer)
        }
        self.names = {t.weight: t.name for t in model.coupling.transfers}
        self.first = {name: self._weights(name) for name in self.layouts}
        self.begin()

    def begin(self) -> None:
        """Count from here: what is there now is what has been there."""
        self.last = {name: self.masks[name].detach().clone() for name in self.layouts}
        self.ever = {name: mask.clone() for name, mask in self.last.items()}
        self.reentered = 0

    def go_on(self, ever: Mapping[str, Tensor], reentered: int) -> None:
        """Count on from a checkpoint, with the masks as they are now."""
        self.begin()
        for name, seen in self.ever.items():
            seen.copy_(ever[name])
        self.reentered = reentered

    @property
    def masks(self) -> Mapping[str, Tensor]:
        """The masks by weight."""
        return self.model.masks

    @property
    def total(self) -> int:
        """Links of the dense model."""
        return sum(layout.links for layout in self.layouts.values())

    def links(self) -> dict[str, int]:
        """Return how many links each weight has."""
        return {name: int(self.masks[name].sum()) for name in self.layouts}

    @torch.no_grad()
    def thin(self, density: float) -> None:
        """Keep the heaviest links of each transfer at this density over all, whether they are there now or not."""
        counts = self.asked(density)
        for name, layout in self.layouts.items():
            units = layout.keep(layout.units(self._weights(name)), counts[name])
            self.masks[name].copy_(layout.spread(units))

    @torch.no_grad()
    def move(
        self,
        density: float,
        share: float,
        gradients: Mapping[str, Tensor],
        lost: Mark | None = None,
    ) -> None:
        """Drop this share of each transfer's links, the lightest, and grow where the loss pulls most, to this density.

        Grown links start from 0; links dropped now do not come back at once (Evci et al., ICML 2020). Links of the
        groups that are `lost` [count] go first, and none grows there.
        """
        counts = self.asked(density)
        for name, layout in self.layouts.items():
            mask, gradient = self.masks[name], gradients[name].abs()
            barred = torch.zeros_like(mask) if lost is None else self._at(name, lost)
            new = layout.spread(self._moved(name, counts[name], share, gradient, barred))
            self.model.links_of(name)[(new > 0) & (mask == 0)] = 0.0
            mask.copy_(new)

    @torch.no_grad()
    def count_change(self) -> Change:
        """Return what came and went since this was called last."""
        grown = dropped = 0
        for name, before in self.last.items():
            mask = self.masks[name]
            came = (mask > 0) & (before == 0)
            grown += int(came.sum())
            dropped += int(((mask == 0) & (before > 0)).sum())
            self.reentered += int((came & (self.ever[name] > 0)).sum())
            before.copy_(mask)
            self.ever[name].copy_(torch.maximum(self.ever[name], mask))
        return Change(grown, dropped)

    def _moved(
        self, name: str, count: int, share: float, gradient: Tensor, barred: Tensor
    ) -> Tensor:
        layout = self.layouts[name]
        there, closed = layout.units(self.masks[name]) > 0, layout.units(barred) > 0
        weights = layout.units(self._weights(name))
        stay = min(round((1 - share) * int(there.sum())), int((there & ~closed).sum()))
        surviving = _highest(weights.masked_fill(~there | closed, -torch.inf), stay)
        # What was dropped comes back, heaviest first, only where there is no other place for a link.
        pull = torch.where(there, -1 / (1 + weights), layout.units(gradient))
        pull = torch.where(closed, -2.0 + pull.clamp(-1, 0), pull)
        return layout.keep(pull.masked_fill(surviving, torch.inf), count)

    def _at(self, name: str, groups: Mark) -> Tensor:
        """Mark a weight's links from or to these groups."""
        mask = self.masks[name]
        touched = torch.zeros_like(mask)
        for axis, ids in enumerate(self.model.coupling.axes[name]):
            if ids is not None:
                marked = torch.from_numpy(groups[ids]).to(mask)
                touched = torch.maximum(touched, along(marked, axis, mask.dim()))
        return touched

    @torch.no_grad()
    def share_new(self) -> float:
        """Return the share of links that the starting weights, by their own size, would not have kept."""
        new = 0
        for name, layout in self.layouts.items():
            mask = self.masks[name]
            first = layout.spread(layout.keep(layout.units(self.first[name]), int(mask.sum())))
            new += int(((mask > 0) & (first == 0)).sum())
        return new / max(1, sum(self.links().values()))

    def asked(self, density: float) -> dict[str, int]:
        """Return how many links each weight keeps at this density over all."""
        shapes = [layout.sides for layout in self.layouts.values()]
        return dict(zip(self.layouts, link_counts(shapes, density, self.distribution), strict=True))

    def _weights(self, name: str) -> Tensor:
        return self.model.unmasked(name).abs()


def _highest(values: Tensor, count: int) -> Tensor:
    """Mark the highest values."""
    marked = torch.zeros_like(values, dtype=torch.bool).flatten()
    marked[values.flatten().argsort(descending=True, stable=True)[:count]] = True
    return marked.view_as(values)


def _layout(model: SparseModel, transfer: Transfer, pattern: Pattern) -> Layout:
    shape = tuple(model.masks[transfer.weight].shape)
    in_axis = 1 if transfer.in_axis is None else transfer.in_axis  # of one group's inputs
    return Layout(pattern, shape, transfer.out_axis, in_axis)


def _is_depthwise(model: SparseModel, transfer: Transfer) -> bool:
    """Say whether each node is read by itself alone: so few links that each is needed (Evci et al., ICML 2020)."""
    return transfer.kind == "grouped" and model.masks[transfer.weight].shape[1] == 1
