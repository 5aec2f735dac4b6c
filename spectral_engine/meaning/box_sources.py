"""What a model's boxes may be read from: each of its outputs, and those that go together, joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.meaning.probe import Probe
from spectral_engine.measure.boxes import (
    Join,
    Layout,
    box_layouts,
    joined_layouts,
    possible_joins,
)

Array = NDArray[Any]


@dataclass(frozen=True)
class Source:
    """Answers [n, …] that may hold boxes: how they are called, how they may be laid out, and what was joined."""

    name: str
    answers: Array
    layouts: list[Layout]
    join: Join | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The outputs that are read."""
        return (self.name,) if self.join is None else self.join.names


def box_sources(probe: Probe, rows: NDArray[np.int64], asked: str | None) -> list[Source]:
    """Return what boxes may be read from, on these rows of the probe; single outputs come first.

    With `asked`, only what that output is a part of.
    """
    answers = {
        name: array[rows] for name, array in probe.answers.items() if len(array) == probe.rows.rows
    }
    shapes = {name: array.shape for name, array in answers.items()}
    whole = {name for name, array in answers.items() if array.dtype.kind != "f"}
    alone = [
        Source(name, array, box_layouts(array.shape))
        for name, array in answers.items()
        if name not in whole
    ]
    joined = [_joined(join, answers) for join in possible_joins(shapes, whole)]
    return [one for one in alone + joined if asked is None or asked in one.parts]


def _joined(join: Join, answers: Mapping[str, Array]) -> Source:
    whole = join.of(answers, np.concatenate)
    return Source(join.name, whole, joined_layouts(join, whole.shape[2]), join)
