"""Which links a model has, and how they change: fewer while it is dense, others once it is sparse.

Everything is decided on units of the pattern. "Weight" is what a link weighs in the folded model, there or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spectral_engine.graph.id_book import Transfer
from spectral_engine.recipe import Distribution
from spectral_engine.sparsity.densities import link_counts
from spectral_engine.sparsity.model import SparseModel
from spectral_engine.sparsity.notation import Pattern
from spectral_engine.sparsity.patterns import Layout


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
        self.ever = {name: torch.zeros_like(self.masks[name]) for name in self.layouts}
        self.reentered = 0
        self._note_ever()

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
    def thin(self, density: float, *, first: bool = False) -> Change:
        """Keep the heaviest links of each transfer at this density over all, whether they are there now or not.

        What the `first` thinning leaves out counts as never having been there.
        """
        counts = self.asked(density)
        if first:
            self.ever = {name: torch.zeros_like(seen) for name, seen in self.ever.items()}
        return self._set(
            {
                name: layout.keep(layout.units(self._weights(name)), counts[name])
                for name, layout in self.layouts.items()
            }
        )

    @torch.no_grad()
    def move(self, density: float, fraction: float, gradients: Mapping[str, Tensor]) -> Change:
        """Drop this share of each transfer's links, the lightest, and grow where the loss pulls most, to this density.

        Grown links start from 0; links dropped now do not come back at once (Evci et al., ICML 2020).
        """
        counts = self.asked(density)
        return self._set(
            {
                name: self._moved(name, counts[name], fraction, gradients[name])
                for name in self.layouts
            },
            grown_from_zero=True,
        )

    def _moved(self, name: str, count: int, fraction: float, gradient: Tensor) -> Tensor:
        layout, mask = self.layouts[name], self.masks[name]
        there = layout.units(mask) > 0
        weights = layout.units(self._weights(name)).masked_fill(~there, -torch.inf)
        stay = round((1 - fraction) * int(there.sum()))
        surviving = _highest(weights, stay)
        pull = layout.units(gradient.abs()).masked_fill(there, -torch.inf)
        # A dropped unit comes back only where the pattern has no other place for a link.
        pull = torch.where(there & ~surviving, torch.full_like(pull, -1.0), pull)
        return layout.keep(pull.masked_fill(surviving, torch.inf), count)

    def _set(self, units: Mapping[str, Tensor], *, grown_from_zero: bool = False) -> Change:
        grown = dropped = 0
        for name, marked in units.items():
            mask, new = self.masks[name], self.layouts[name].spread(marked)
            fresh = (new > 0) & (mask == 0)
            grown += int(fresh.sum())
            dropped += int(((new == 0) & (mask > 0)).sum())
            self.reentered += int((fresh & (self.ever[name] > 0)).sum())
            mask.copy_(new)
            if grown_from_zero:
                self.model.links_of(name)[fresh] = 0.0
        self._note_ever()
        return Change(grown, dropped)

    def _note_ever(self) -> None:
        for name, seen in self.ever.items():
            seen.copy_(torch.maximum(seen, self.masks[name].detach()))

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
