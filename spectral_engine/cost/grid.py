"""Widths that runtimes like: the removal that a budget asks for, moved so that whole blocks of channels stay.

Kernels of convolutions work on blocks of channels, and one of 31 takes longer than one of 32. A block counts indices of
an axis, which one group may have several of, as heads have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spectral_engine.graph.coupling import Coupling, Mark
from spectral_engine.graph.ids import GroupIds
from spectral_engine.graph.layers import out_groups

RoundTo = int | Literal["auto"]
BLOCK = 8  # channels: what fills the kernels of convolutions, measured by benchmarks/widths.py
CONVOLUTIONS = frozenset({"conv", "grouped"})


@dataclass(frozen=True)
class Choice:
    """What a rounding may move: `removed` holds all that is gone, of this cut and of earlier ones [count].

    Those that are `free` may go, or stay after all. `fits` says whether the model is within its budget without the
    groups that it is given.
    """

    removed: Mark
    free: Mark
    scores: NDArray[np.float64]
    fits: Callable[[Mark], bool]


@dataclass(frozen=True)
class Grid:
    """Axes whose widths are multiples of `block`, each as the groups of its indices, of the whole model."""

    axes: tuple[GroupIds, ...]
    block: int

    def is_on(self, removed: Mark) -> NDArray[np.bool_]:
        """Say which axes are whole, or have a multiple of the block left [axes]."""
        left = self._widths(removed)
        fits: Mark = (left % self.block == 0) | (left == self._full)
        return fits

    def fit(self, choice: Choice) -> Mark:
        """Return the groups to remove [count]: each axis down to the grid, and then whole blocks back.

        Blocks of the best groups come first, and come while the budget holds. Axes that cannot reach the grid, as they
        are narrower than a block or must keep more, are left as they were chosen.
        """
        if not self.axes:
            return choice.removed
        return self._singles_back(choice, self._blocks_back(choice, self._down(choice)))

    def _down(self, choice: Choice) -> Mark:
        # Short axes first: one that joins others is on the grid once these are, and what they settled stays.
        removed, settled = choice.removed.copy(), np.zeros(len(choice.removed), dtype=bool)
        for place in np.argsort(self._full, kind="stable").tolist():
            ids = self.axes[place]
            if not self.is_on(removed)[place]:
                movable = choice.free & ~removed & ~settled
                removed[self._surplus(ids, removed, movable, choice.scores)] = True
            settled[ids] |= bool(self.is_on(removed)[place])
        return removed

    def _surplus(
        self, ids: GroupIds, removed: Mark, movable: Mark, scores: NDArray[np.float64]
    ) -> GroupIds:
        """Return the fewest of the least relevant groups without which an axis is on the grid; none where none are."""
        groups, counts = np.unique(ids[movable[ids]], return_counts=True)
        order = np.argsort(scores[groups], kind="stable")
        left = int((~removed[ids]).sum()) - np.cumsum(counts[order])
        ends = np.flatnonzero((left % self.block == 0) & (left >= self.block))
        return GroupIds(groups[order[: ends[0] + 1]] if ends.size else groups[:0])

    def _blocks_back(self, choice: Choice, removed: Mark) -> Mark:
        places = [(place, self._next(place, choice, removed)) for place in range(len(self.axes))]
        waiting = [(-choice.scores[ids].mean(), place) for place, ids in places if ids.size]
        heapify(waiting)
        while waiting:
            _, place = heappop(waiting)
            trial = removed.copy()
            trial[self._next(place, choice, removed)] = False
            spoils = (self.is_on(removed) & ~self.is_on(trial)).any()
            if spoils or not choice.fits(trial):
                continue  # nor will its next ones: budgets only get tighter
            removed = trial
            following = self._next(place, choice, removed)
            if following.size:
                heappush(waiting, (-choice.scores[following].mean(), place))
        return removed

    def _next(self, place: int, choice: Choice, removed: Mark) -> GroupIds:
        """Return the best groups that bring an axis up to its next width on the grid; none where none do."""
        ids = self.axes[place]
        groups, counts = np.unique(ids[removed[ids] & choice.free[ids]], return_counts=True)
        order = np.argsort(-choice.scores[groups], kind="stable")
        wide = int((~removed[ids]).sum()) + np.cumsum(counts[order])
        ends = np.flatnonzero((wide % self.block == 0) | (wide == len(ids)))
        return GroupIds(groups[order[: ends[0] + 1]] if ends.size else groups[:0])

    def _singles_back(self, choice: Choice, removed: Mark) -> Mark:
        # Of layers that have no grid each node counts: as many of the best as the budget has become free for.
        alone = np.flatnonzero(removed & choice.free & ~self._covered(len(removed)))
        alone = alone[np.argsort(-choice.scores[alone], kind="stable")]

        def with_first(count: int) -> Mark:
            trial = removed.copy()
            trial[alone[:count]] = False
            return trial

        low, high = 0, len(alone)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if choice.fits(with_first(middle)) else (low, middle - 1)
        return with_first(low)

    def _covered(self, count: int) -> Mark:
        covered = np.zeros(count, dtype=bool)
        covered[np.concatenate(self.axes)] = True
        return covered

    def _widths(self, removed: Mark) -> NDArray[np.int64]:
        kept = np.concatenate([[0], np.cumsum(~removed[np.concatenate(self.axes)])])
        return np.diff(kept[self._ends])

    @cached_property
    def _full(self) -> NDArray[np.int64]:
        return np.array([len(ids) for ids in self.axes], dtype=np.int64)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self._full)])


def grid_of(coupling: Coupling, round_to: RoundTo) -> Grid:
    """Return the grid of a whole model: for a number, of every layer; for `auto`, of what convolutions make."""
    block = BLOCK if round_to == "auto" else round_to
    rows = [
        out_groups(transfer, coupling.axes)
        for transfer in coupling.transfers
        if round_to != "auto" or transfer.kind in CONVOLUTIONS
    ]
    return Grid(_distinct(rows) if block > 1 else (), block)


def _distinct(rows: Sequence[GroupIds]) -> tuple[GroupIds, ...]:
    """Return rows of groups without those that hold the same ones; a row may be empty where nothing can narrow."""
    found = {np.sort(ids).tobytes(): ids for ids in rows if len(ids)}
    return tuple(found.values())
