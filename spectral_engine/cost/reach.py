"""How far a model is to be narrowed, and how far it can be: found out before anything trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from spectral_engine.cost.budget import (
    Budget,
    Cost,
    asked_budget,
    check_feasible,
    cost_of,
    path_end,
)
from spectral_engine.cost.file_size import growth
from spectral_engine.cost.grid import Grid
from spectral_engine.cost.latency_budget import LatencyProbe, check_in_time, macs_in_time
from spectral_engine.cost.narrowing import InTime
from spectral_engine.cost.ranking import all_that_can_go
from spectral_engine.data.split import Split
from spectral_engine.graph.coupling import Coupling
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.records.target import Target


@dataclass(frozen=True)
class Reach:
    """A model and what a target asks of it; `min_nodes` of each layer stay, and `provenance` will stand in its files.

    `row` gives the row that is timed, where time is limited.
    """

    original: OpenedModel
    coupling: Coupling
    target: Target
    grid: Grid
    min_nodes: int
    row: Callable[[], Split]
    provenance: Mapping[str, str]

    @cached_property
    def start(self) -> Cost:
        """What the model costs as it came."""
        return cost_of(self.coupling, ~self.coupling.alive())

    @property
    def asked(self) -> Budget:
        """The target's limits as amounts, but for time."""
        return asked_budget(self.target, self.start)

    def check(self, folder: Path) -> None:
        """Raise TargetInfeasible where no cut can meet the target; a file is measured in `folder`."""
        self._narrowest(folder)
        if self.target.max_latency_ms is not None:
            check_in_time(self._probe)

    def end(self, folder: Path, kept: Path | None = None) -> Budget:
        """Return where the path ends, so that files are small and answers fast enough. Raises TargetInfeasible.

        A job that resumes finds in `kept` what is in time.
        """
        floor, added = self._narrowest(folder)
        asked = self.asked
        if self.target.max_latency_ms is not None:
            asked = asked.also("macs", macs_in_time(self._probe, kept))
        return path_end(asked, self.start, floor, added)

    @property
    def in_time(self) -> InTime | None:
        """What says whether the model is fast enough without these groups; None where time is not limited."""
        return None if self.target.max_latency_ms is None else self._probe.keeps_time

    def _narrowest(self, folder: Path) -> tuple[Cost, int]:
        """Return what stays at least, and the bytes that its file has besides. Raises TargetInfeasible."""
        removable = all_that_can_go(self.coupling, self.min_nodes)
        floor, added = cost_of(self.coupling, removable), 0
        if self.target.max_bytes is not None:
            graph = self.original.graph
            added = growth(graph, self.coupling, removable, self.provenance, folder)
        check_feasible(self.asked, replace(floor, bytes=floor.bytes + added))
        return floor, added

    @cached_property
    def _probe(self) -> LatencyProbe:
        """What times narrower copies of the original."""
        limit = self.target.max_latency_ms
        assert limit is not None
        return LatencyProbe(
            self.original, self.coupling, self.grid, self.min_nodes, limit, self.row()
        )
