"""The original model's answers on the training rows: what distillation aims at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from spectral_engine.graph.module import OnnxModule
from spectral_engine.training.feed import Batch, Feed

KEPT_BYTES = 512 * 2**20


class Teacher:
    """Gives the original's watched values for a batch: kept from one pass where they fit, else run again."""

    def __init__(
        self,
        module: OnnxModule,
        watch: tuple[str, ...],
        feed: Feed,
        joined: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict,
    ) -> None:
        self.joined = joined
        self.module: OnnxModule | None = module.eval().requires_grad_(False)
        self.watch, self.feed = watch, feed
        first = self._run(next(iter(feed.in_order(1))))
        row_bytes = sum(value.numel() * value.element_size() for value in first.values())
        self.kept: dict[str, Tensor] | None = None
        if row_bytes * feed.split.rows <= KEPT_BYTES:
            parts = [self._run(batch) for batch in feed.in_order()]
            self.kept = {name: torch.cat([part[name] for part in parts]) for name in first}
            self.module = None  # its weights are not needed any more

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return the original's values for the rows of this batch, as they stand in the data."""
        if self.kept is None:
            return self._run(self.feed.batch(batch.rows) if self.feed.swaps else batch)
        rows = torch.from_numpy(batch.rows).to(next(iter(self.kept.values())).device)
        return {name: value[rows] for name, value in self.kept.items()}

    @torch.no_grad()
    def _run(self, batch: Batch) -> dict[str, Tensor]:
        assert self.module is not None
        values = self.module.compute(batch.inputs, watch=self.watch)
        return self.joined({name: values[name] for name in self.watch})
