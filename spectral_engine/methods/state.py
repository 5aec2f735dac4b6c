"""Where a run stands: all that changes on its way, besides what the trainer holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.records.report import PathPoint, TopologyPoint
from spectral_engine.training.checkpoint import to_tensor


@dataclass
class RunState:
    """Arrays have one entry per group of the original coupling [count]."""

    removed: NDArray[np.bool_]
    removed_at: NDArray[np.int64]  # the step; −1 where it stays
    relevance: NDArray[np.float64]  # of groups that are gone: at the moment before they went
    eigenvalues: NDArray[np.float64]
    step: int = 0
    events_done: int = 0
    rate: float = 0.0  # the learning rate, before the schedule's share; 0 until it is found
    retried: bool = False
    gentle: bool = False  # the second way from wide to narrow, at a lower rate and not so far
    loss: float = 0.0
    points: list[PathPoint] = field(default_factory=list)
    topology: list[TopologyPoint] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def at_start(cls, eigenvalues: NDArray[np.float64]) -> RunState:
        """Return the state of a run that has not trained yet."""
        count = len(eigenvalues)
        return cls(
            removed=np.zeros(count, dtype=bool),
            removed_at=np.full(count, -1, dtype=np.int64),
            relevance=np.zeros(count),
            eigenvalues=eigenvalues,
        )

    def see(
        self,
        alive: NDArray[np.bool_],
        scores: NDArray[np.float64],
        eigenvalues: NDArray[np.float64],
    ) -> None:
        """Take over what is read of the groups that are alive."""
        self.relevance = np.where(alive, scores, self.relevance)
        self.eigenvalues = np.where(alive, eigenvalues, self.eigenvalues)

    def mark(self, going: NDArray[np.bool_]) -> None:
        """Note that these groups go now."""
        self.removed = self.removed | going
        self.removed_at[going] = self.step

    def tensors(self) -> dict[str, Tensor]:
        """Return the arrays, copied."""
        return {name: to_tensor(getattr(self, name)) for name in _ARRAYS}

    def numbers(self) -> dict[str, Any]:
        """Return all else, as JSON takes it."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        plain = {name: value for name, value in values.items() if name not in _ARRAYS}
        for name in _POINTS:
            plain[name] = [point.model_dump() for point in plain[name]]
        return plain

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> RunState:
        """Return the state that `tensors` and `numbers` were taken of."""
        arrays: dict[str, Any] = {name: tensors[name].numpy().copy() for name in _ARRAYS}
        points = {
            name: [kind.model_validate(point) for point in numbers[name]]
            for name, kind in _POINTS.items()
        }
        return cls(**{**numbers, **arrays, **points})


_ARRAYS = ("removed", "removed_at", "relevance", "eigenvalues")
_POINTS: dict[str, type[PathPoint] | type[TopologyPoint]] = {
    "points": PathPoint,
    "topology": TopologyPoint,
}
