"""Rows of a split as batches of tensors, in an order that seed and epoch alone decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.data import Split
from spectral_engine.training.order import shuffled
from spectral_engine.training.swaps import Inputs, swap

Rows = NDArray[np.int64]
SWAPS = 15_485_863  # keeps the swaps' random numbers apart from those of the order


@dataclass(frozen=True)
class Batch:
    """Inputs by name and labels, of the same rows."""

    inputs: dict[str, Tensor]
    labels: Tensor | None
    rows: Rows


class Feed:
    """Gives batches of one split on one device; steps of a training see `swaps` of their inputs swapped."""

    def __init__(
        self, split: Split, batch_size: int, device: torch.device, swaps: float = 0.0
    ) -> None:
        self.split, self.device, self.swaps = split, device, swaps
        self.batch_size = min(batch_size, split.rows)
        self._cached: tuple[tuple[int, int], Rows] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass; a last batch of fewer rows is left out of shuffled passes."""
        return max(1, self.split.rows // self.batch_size)

    def batch(self, rows: Rows) -> Batch:
        """Fetch these rows."""
        return self._batch(self._inputs(rows), rows)

    def at_step(self, step: int, seed: int) -> Batch:
        """Fetch the batch of one training step, counted over all epochs; stateless, so that it can resume."""
        rows = self.rows_at(step, seed)
        inputs = self._inputs(rows)
        if self.swaps:
            inputs = swap(inputs, self.swaps, np.random.default_rng([seed, step, SWAPS]))
        return self._batch(inputs, rows)

    def rows_at(self, step: int, seed: int) -> Rows:
        """Say which rows one training step sees."""
        epoch, position = divmod(step, self.steps_per_epoch)
        order = self._order(epoch, seed)
        start = position * self.batch_size
        return order[start : start + self.batch_size]

    def in_order(self, limit: int | None = None) -> Iterator[Batch]:
        """Yield the first rows, as they stand."""
        end = self.split.rows if limit is None else min(limit, self.split.rows)
        for start in range(0, end, self.batch_size):
            yield self.batch(np.arange(start, min(start + self.batch_size, end)))

    def _order(self, epoch: int, seed: int) -> Rows:
        if self._cached is None or self._cached[0] != (epoch, seed):
            random = np.random.default_rng([seed, epoch])
            self._cached = ((epoch, seed), shuffled(self.split, random))
        return self._cached[1]

    def _inputs(self, rows: Rows) -> Inputs:
        return self.split.read(rows)

    def _batch(self, inputs: Inputs, rows: Rows) -> Batch:
        labels = self.split.labels
        tensors = {name: self._tensor(array) for name, array in inputs.items()}
        return Batch(tensors, None if labels is None else self._tensor(labels[rows]), rows)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if tensor.dim() == 4 and tensor.is_floating_point():  # images: convolutions are faster so
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor.to(self.device)
