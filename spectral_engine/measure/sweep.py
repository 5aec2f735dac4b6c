"""Shapes of inputs at which a file runs: its batches and free lengths, swept around those of some rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.split import Split
from spectral_engine.errors import ModelInvalid
from spectral_engine.graph.free_axes import FreeAxes, Lengths
from spectral_engine.measure.runtime import Runner

Feeds = Mapping[str, NDArray[Any]]
Answers = Mapping[str, NDArray[Any]]
BATCHES = (1, 3)


def sweep(runner: Runner, rows: Split) -> list[tuple[Feeds, Answers]]:
    """Return feeds in other shapes than the rows' at which the model runs, made of the rows' own numbers, and answers.

    Two numbers of rows, where they are free, and five lengths of each free axis, as far as the model runs at them.
    """
    declared = {value.name: list(value.shape) for value in runner.session.get_inputs()}
    axes = runner.row_axes(rows)
    free = FreeAxes(declared, axes)
    lengths = free.of_data(rows.row_shapes)
    ran: list[tuple[Feeds, Answers]] = []

    def runs(batch: int, other: Lengths) -> bool:
        feeds = {
            name: np.resize(array, free.sizes(name, other, batch))
            for name, array in rows.arrays.items()
            if name in declared  # not the lengths of ragged samples
        }
        try:
            ran.append((feeds, runner.answer(feeds)))
        except ModelInvalid:
            return False
        return True

    for batch in BATCHES if free.has_free_rows else ():
        runs(batch, lengths)
    free.around(lengths, lambda other: runs(axes.at_once or 1, other))
    return ran
