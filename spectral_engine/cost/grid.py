"""Widths that runtimes like: the removal that a budget asks for, moved so that whole blocks of channels stay.

Kernels of convolutions work on blocks of channels, and one of 31 takes longer than one of 32. A block counts indices of
an axis, which one group may have several of, as heads have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from spectral_engine.graph.coupling import Coupling, Mark
from spectral_engine.graph.ids import GroupIds
from spectral_engine.graph.layers import out_groups
from spectral_engine.records.blocks import Blocks

CONVOLUTIONS = frozenset({"conv", "grouped"})
FINEST = 4  # channels: below this, runtimes know no blocks
MUCH_UNUSED = 0.05  # of a budget: what is worth smaller blocks


@dataclass(frozen=True)
class Choice:
    """What a rounding may move: `removed` holds all that is gone, of this cut and of earlier ones [count].

    Those that are `free` may go, or stay after all. `unused` says what share of its budget the model leaves without the
    groups that it is given: less than nothing where it is over it.
    """

    removed: Mark
    free: Mark
    scores: NDArray[np.float64]
    unused: Callable[[Mark], float]

    def fits(self, removed: Mark) -> bool:
        """Say whether the model is within its budget without these groups."""
        return self.unused(removed) >= 0


@dataclass(frozen=True)
class Grid:
    """Axes of the whole model, each as the groups of its indices, and the block that its width is a multiple of.

    A `strict` grid knows no smaller blocks.
    """

    axes: tuple[GroupIds, ...]
    blocks: tuple[int, ...]
    strict: bool = False

    def is_on(self, removed: Mark) -> NDArray[np.bool_]:
        """Say which axes are whole, or have a multiple of their block left [axes]."""
        left = self._widths(removed)
        fits: Mark = (left % np.array(self.blocks, dtype=np.int64) == 0) | (left == self._full)
        return fits

    def holds(self, removed: Mark) -> bool:
        """Say whether all axes that are as wide as a block are on the grid."""
        wide = self._full >= np.array(self.blocks, dtype=np.int64)
        return bool(self.is_on(removed)[wide].all())

    def finer(self) -> Iterator[Grid]:
        """Yield the grids of blocks half as large, of a quarter, and so on down to the smallest."""
        grid = self
        while halves := [
            (ids, block // 2)
            for ids, block in zip(grid.axes, grid.blocks, strict=True)
            if block // 2 >= FINEST and not self.strict
        ]:
            grid = _grid(halves)
            yield grid

    def raised(self, least: Mapping[str, int], whole: Coupling) -> dict[str, int]:
        """Return floors that are on the grid: a block at least, since fewer channels take as long, and whole ones."""
        floors = dict(least)
        by_groups = {np.sort(layer.groups).tobytes(): layer.name for layer in whole.layers}
        for ids, block in zip(self.axes, self.blocks, strict=True):
            name = by_groups.get(np.sort(ids).tobytes())
            if name is not None and len(np.unique(ids)) == len(ids):
                floors[name] = min(len(ids), max(block, least[name] // block * block))
        return floors

    def fit(self, choice: Choice) -> Mark:
        """Return the groups to remove [count]: each axis down to the grid, and then whole blocks back.

        Blocks of the best groups come first, and come while the budget holds: smaller ones where whole ones leave much
        of it, as in narrow nets. Axes that cannot reach the grid, as they are narrower than a block or must keep more,
        are left as they were chosen.
        """
        if not self.axes:
            return choice.removed
        removed = self._blocks_back(choice, self._down(choice))
        for finer in self.finer():
            if choice.unused(removed) <= MUCH_UNUSED:
                break
            removed = finer._blocks_back(choice, removed)
        return self._singles_back(choice, removed)

    def _down(self, choice: Choice) -> Mark:
        # Short axes first: one that joins others is on the grid once these are, and what they settled stays.
        removed, settled = choice.removed.copy(), np.zeros(len(choice.removed), dtype=bool)
        for axis in np.argsort(self._full, kind="stable").tolist():
            ids = self.axes[axis]
            if not self.is_on(removed)[axis]:
                movable = choice.free & ~removed & ~settled
                surplus = self._surplus(ids, self.blocks[axis], removed, movable, choice.scores)
                removed[surplus] = True
            settled[ids] |= bool(self.is_on(removed)[axis])
        return removed

    @staticmethod
    def _surplus(
        ids: GroupIds, block: int, removed: Mark, movable: Mark, scores: NDArray[np.float64]
    ) -> GroupIds:
        """Return the fewest of the least relevant groups without which an axis is on the grid; none where none are."""
        groups, counts = np.unique(ids[movable[ids]], return_counts=True)
        order = np.argsort(scores[groups], kind="stable")
        left = int((~removed[ids]).sum()) - np.cumsum(counts[order])
        ends = np.flatnonzero((left % block == 0) & (left >= block))
        return GroupIds(groups[order[: ends[0] + 1]] if ends.size else groups[:0])

    def _blocks_back(self, choice: Choice, removed: Mark) -> Mark:
        widenings = [(axis, self._next(axis, choice, removed)) for axis in range(len(self.axes))]
        waiting = [(-choice.scores[ids].mean(), axis) for axis, ids in widenings if ids.size]
        heapify(waiting)
        while waiting:
            _, axis = heappop(waiting)
            trial = removed.copy()
            trial[self._next(axis, choice, removed)] = False
            spoils = (self.is_on(removed) & ~self.is_on(trial)).any()
            if spoils or not choice.fits(trial):
                continue  # nor will its next ones: budgets only get tighter
            removed = trial
            following = self._next(axis, choice, removed)
            if following.size:
                heappush(waiting, (-choice.scores[following].mean(), axis))
        return removed

    def _next(self, axis: int, choice: Choice, removed: Mark) -> GroupIds:
        """Return the best groups that bring an axis up to its next width on the grid; none where none do."""
        ids = self.axes[axis]
        groups, counts = np.unique(ids[removed[ids] & choice.free[ids]], return_counts=True)
        order = np.argsort(-choice.scores[groups], kind="stable")
        wide = int((~removed[ids]).sum()) + np.cumsum(counts[order])
        ends = np.flatnonzero((wide % self.blocks[axis] == 0) | (wide == len(ids)))
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
        if not self.axes:
            return np.zeros(0, dtype=np.int64)
        kept = np.concatenate([[0], np.cumsum(~removed[np.concatenate(self.axes)])])
        return np.diff(kept[self._ends])

    @cached_property
    def _full(self) -> NDArray[np.int64]:
        return np.array([len(ids) for ids in self.axes], dtype=np.int64)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self._full)])


def on_blocks(coupling: Coupling, blocks: Blocks, *, strict: bool = False) -> Grid:
    """Return the grid of a whole model, with an axis for each layer whose block is more than one node."""
    axes = []
    for transfer in coupling.transfers:
        block = blocks.convolution if transfer.kind in CONVOLUTIONS else blocks.dense
        ids = out_groups(transfer, coupling.axes)
        if block > 1 and len(ids):  # an axis may be empty where nothing can narrow
            axes.append((ids, block))
    return _grid(axes, strict=strict)


def _grid(axes: Iterable[tuple[GroupIds, int]], *, strict: bool = False) -> Grid:
    """Return a grid without axes that hold the same groups as another: the larger block counts."""
    by_groups: dict[bytes, tuple[GroupIds, int]] = {}
    for ids, block in axes:
        key = np.sort(ids).tobytes()
        by_groups[key] = (ids, max(block, by_groups.get(key, (ids, 0))[1]))
    kept = by_groups.values()
    return Grid(tuple(ids for ids, _ in kept), tuple(block for _, block in kept), strict)
