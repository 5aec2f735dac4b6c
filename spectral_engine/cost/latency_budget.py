"""How many multiply-adds a model may have to answer in time: asked of onnxruntime before anything trains.

What a cut saves in time, multiply-adds do not tell: a runtime has costs of its own, and wide layers use it better. So
the original is narrowed evenly, its weights as they are, and timed beside itself at several widths.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx_ir as ir

from spectral_engine.cost.budget import Budget, cost_of
from spectral_engine.cost.grid import Grid
from spectral_engine.cost.narrowing import Narrowing
from spectral_engine.cost.ranking import floors, removable
from spectral_engine.data.split import Split
from spectral_engine.errors import TargetInfeasible
from spectral_engine.graph.coupling import Coupling, Mark
from spectral_engine.graph.surgery import cut
from spectral_engine.measure.latency import measure_latency
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.onnx_io.save import save_model
from spectral_engine.records.limit import Limit
from spectral_engine.work_dir import write_whole

BATCH = 1  # latency is that of one row
SECONDS = 1.0  # of timing at each width
WIDTHS = 7  # that are tried, each halving what is not known
MARGIN = 0.97  # clocks waver
ABOVE = 1.05  # of the limit, where the path ends: the last cut takes what is too slow of the very widths


@dataclass(frozen=True)
class LatencyProbe:
    """Times evenly narrowed copies of a model; `limit` is in ms, or a share of the original's own time."""

    original: OpenedModel
    coupling: Coupling
    grid: Grid
    min_nodes: int
    limit: Limit
    rows: Split

    def is_near(self, macs: int) -> bool:
        """Say whether the evenly narrowed model with so many multiply-adds is within the limit, or little above it."""
        return self._share_of_limit(self._evenly(macs)) <= ABOVE

    def keeps_time(self, removed: Mark) -> bool:
        """Say whether the model without these groups [count] is surely within the limit, its weights as they are."""
        return self._share_of_limit(removed) <= MARGIN

    @property
    def narrowest(self) -> Mark:
        """What is gone where each layer keeps one block of the grid, below which nothing gets faster [count]."""
        least = self.grid.raised(floors(self.coupling, self.min_nodes), self.coupling)
        return removable(self.coupling, np.zeros(self.coupling.count), least)

    def _share_of_limit(self, removed: Mark) -> float:
        with tempfile.TemporaryDirectory(prefix="time-") as folder:
            path = Path(folder) / "narrow.onnx"
            save_model(cut(self._model, self.coupling, removed), path)
            models = {"original": self.original.source, "narrow": path}
            times = measure_latency(models, self.rows, batch_sizes=(BATCH,), seconds=SECONDS)
        original, narrow = (times[name][0].median_ms for name in models)
        return narrow / self.limit.of(original)

    @cached_property
    def _model(self) -> ir.Model:
        return self.original.graph

    def _evenly(self, macs: int) -> Mark:
        scores = np.zeros(self.coupling.count)
        for layer in self.coupling.layers:
            groups = np.unique(layer.groups)
            scores[groups] = np.arange(len(groups)) / len(groups)
        gone = ~self.coupling.alive()
        narrowing = Narrowing(self.coupling, self.coupling, gone, scores, self.grid)
        least = floors(self.coupling, self.min_nodes)
        return narrowing.plan(Budget({"macs": macs}), least).removed & ~gone


def check_in_time(watch: LatencyProbe) -> None:
    """Raise TargetInfeasible where the model is too slow even at its narrowest."""
    if not watch.keeps_time(watch.narrowest):
        unit = "of the model's own time" if watch.limit.is_share else "ms"
        raise TargetInfeasible(
            f"max_latency_ms allows {watch.limit.number:g} {unit}, and the model is not surely that fast even when "
            "every node that can go is gone",
            pointer="#/recipe/target/max_latency_ms",
        )


def macs_in_time(watch: LatencyProbe, kept: Path | None) -> int:
    """Return the most multiply-adds that are about in time; a job that resumes finds in `kept` what it found before.

    Raises TargetInfeasible where there are none.
    """
    if kept is not None and kept.is_file():
        return int(json.loads(kept.read_text())["macs"])
    check_in_time(watch)
    low = cost_of(watch.coupling, watch.narrowest).macs
    high = cost_of(watch.coupling, ~watch.coupling.alive()).macs
    if watch.is_near(high):
        low = high
    for _ in range(WIDTHS):
        middle = round((low * high) ** 0.5)  # by the factor: a model may shrink a hundredfold
        if middle in (low, high):
            break
        low, high = (middle, high) if watch.is_near(middle) else (low, middle)
    if kept is not None:
        write_whole(kept, json.dumps({"macs": low}))
    return low
