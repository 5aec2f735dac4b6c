"""What the original answers on some rows: all that a reading of the labels is tried on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.split import Split

Array = NDArray[Any]
ROWS = 2000


@dataclass(frozen=True)
class Output:
    """One output of the original: its name, its answers [n, …] on the probe's rows, and what ends the graph there.

    `normalised_by` names what gives rows one length.
    """

    name: str
    answers: Array
    squashed_by: str | None
    normalised_by: str | None = None


@dataclass(frozen=True)
class Probe:
    """Rows with their raw labels, where there are any, and the original's answers on them, output by output.

    `outputs` are those of as many floats for each row. What stands `beside` them says nothing by itself: whole numbers,
    as labels and counts, and lists that are longer for some rows than for others, padded with 0.
    `ask` runs the original on changed inputs, for hypotheses; `preprocessing` is what the inputs have had.
    """

    rows: Split
    outputs: tuple[Output, ...]
    ask: Callable[[Split], Mapping[str, Array]]
    preprocessing: Preprocessing | None = None
    beside: Mapping[str, Array] = field(default_factory=dict)

    @property
    def answers(self) -> dict[str, Array]:
        """The answers [n, …] by output."""
        return {**self.beside, **{output.name: output.answers for output in self.outputs}}

    def option(self, further: dict[str, Any]) -> dict[str, Any]:
        """Return the preprocessing to pass so that something is done after all that was done."""
        return further if self.preprocessing is None else self.preprocessing.followed_by(further)


def spread_rows(split: Split, most: int = ROWS, *, together: int = 1) -> Split:
    """Return rows spread evenly over a split, in memory, so many neighbours together: files are often sorted."""
    if split.rows <= most:
        return split.in_memory()
    groups = np.linspace(0, split.rows // together - 1, most // together).round().astype(np.int64)
    rows = (groups[:, None] * together + np.arange(together)).reshape(-1)
    return split.take(rows).in_memory()
