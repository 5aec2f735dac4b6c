"""What a model's boxes may be read from: each of its outputs, and those that go together, joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.meaning.probe import Output, Probe
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


def box_sources(outputs: Sequence[Output], probe: Probe) -> list[Source]:
    """Return what boxes may be read from; single outputs come first.

    Where one output is asked for by name, it is among these `outputs` alone, and joins have it for their boxes or
    scores.
    """
    alone = [
        Source(output.name, output.answers, box_layouts(output.answers.shape)) for output in outputs
    ]
    asked = {output.name for output in outputs}
    answers = {
        name: found for name, found in probe.answers.items() if len(found) == probe.rows.rows
    }
    shapes = {name: found.shape for name, found in answers.items()}
    joined = []
    for join in possible_joins(shapes, probe.whole):
        if asked.intersection(join.names):
            whole = join.of(answers, np.concatenate)
            joined.append(Source(join.name, whole, joined_layouts(join, whole.shape[2]), join))
    return alone + joined
