"""Rows to train on, rows to choose by, rows held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.row_source import IN_BLOCKS_BYTES, RowSource, bytes_of, chosen
from spectral_engine.data.written import UNKNOWN, Written
from spectral_engine.errors import DatasetMismatch
from spectral_engine.records.report import DataSummary

Array = NDArray[Any]
HELD_OUT_SHARE = 0.15
MOST_HELD_OUT = 0.4
FEW_ROWS = 30  # of all: with fewer, hardly anything can be shown of a model
COMFORT = 1.25  # times the rows that would show a floor if no answer were lost; docs/decisions/0004 has more tried


@dataclass(frozen=True)
class Claim:
    """What held-out rows are to show: that a share of right answers truly drops by `floor` at most.

    `counts` says whether labels as the file holds them [n, …] may be answers that are right or wrong, beside the model.
    """

    floor: float
    confidence: float
    counts: Callable[[Array], bool] | None = None

    def is_of(self, labels: Array) -> bool:
        """Say whether labels may be right answers; numbers with a fraction are none."""
        return labels.dtype.kind != "f" and (self.counts is None or self.counts(labels))

    @property
    def fewest_rows(self) -> float:
        """Rows that show it where not one answer is lost: the n for which (1 − floor)ⁿ = 1 − confidence."""
        if not 0 < self.floor < 1:
            return 0.0
        return log(1 - self.confidence) / log(1 - self.floor)

    def held_out_share(self, rows: int) -> float:
        """Return the share of the rows to hold out: more than usual where that makes the difference."""
        if self.fewest_rows > MOST_HELD_OUT * rows:
            return HELD_OUT_SHARE  # out of reach: training rows are worth more
        return min(max(HELD_OUT_SHARE, COMFORT * self.fewest_rows / rows), MOST_HELD_OUT)


@dataclass(frozen=True)
class Split:
    """Inputs by name and labels, row by row; large inputs lie on disk and are read by the numbers of their rows.

    `row_axes` says where the model takes the rows of an input, for those that lie elsewhere than the model declares;
    `ragged` along which axis of a row those of an input differ in length (`data/ragged.py`).
    """

    inputs: Mapping[str, RowSource]
    labels: Array | None
    row_axes: Mapping[str, int | None] = field(default_factory=dict)
    ragged: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.inputs.values())))

    @property
    def row_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of one row of each input."""
        return {name: source.shape[1:] for name, source in self.inputs.items()}

    @property
    def arrays(self) -> dict[str, Array]:
        """The inputs in memory: for splits of few rows."""
        return self.read(slice(None))

    @property
    def is_read_in_blocks(self) -> bool:
        """Whether the rows are so many bytes on disk that neighbours are to be read together."""
        on_disk = [one for one in self.inputs.values() if not isinstance(one, np.ndarray)]
        return sum(map(bytes_of, on_disk)) > IN_BLOCKS_BYTES

    def read(self, rows: slice | NDArray[np.int64]) -> dict[str, Array]:
        """Return the inputs of these rows, in memory."""
        return {name: source[rows] for name, source in self.inputs.items()}

    def take(self, indices: NDArray[np.int64]) -> Split:
        """Return these rows; what lies on disk stays there."""
        inputs = {name: chosen(source, indices) for name, source in self.inputs.items()}
        labels = None if self.labels is None else self.labels[indices]
        return replace(self, inputs=inputs, labels=labels)

    def first(self, most: int) -> Split:
        """Return the first rows, in memory."""
        return self.take(np.arange(min(most, self.rows))).in_memory()

    def in_memory(self) -> Split:
        """Return the same rows with their inputs read: for splits of few rows."""
        return replace(self, inputs=self.arrays)


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set, and what the report says of it."""

    train: Split
    validation: Split
    test: Split
    summary: DataSummary
    feature_names: list[str] | None = None
    preprocessing: Preprocessing | None = None  # as it was done
    given: tuple[str, ...] = ()  # of "train", "val", "test": those that the file holds as such
    written: Written = UNKNOWN
    doubt: str | None = None  # what a refusal is to say of what the file does not tell
    choices: tuple[
        str, ...
    ] = ()  # columns that may be the label, where nothing but its place tells it

    @property
    def parts(self) -> tuple[Split, Split, Split]:
        """The three parts, in the order in which they are used."""
        return self.train, self.validation, self.test

    def with_parts(self, train: Split, validation: Split, test: Split) -> Splits:
        """Return the same data set with other parts."""
        return replace(self, train=train, validation=validation, test=test)

    @property
    def labels(self) -> Array | None:
        """The labels of all parts together, where there are any."""
        labels = [part.labels for part in self.parts if part.labels is not None]
        return np.concatenate(labels) if len(labels) == len(self.parts) else None


def random_parts(
    rows: int, classes: Array | None, shares: tuple[float, ...], seed: int
) -> list[NDArray[np.int64]]:
    """Return row numbers of each part, shuffled by seed; every class is spread over the parts by its share.

    The last part takes what is left. Raises DatasetMismatch where a part would be empty.
    """
    rng = np.random.default_rng(seed)
    groups = [np.arange(rows)]
    if classes is not None:
        groups = [np.flatnonzero(classes == value) for value in np.unique(classes)]
    parts: list[list[NDArray[np.int64]]] = [[] for _ in range(len(shares) + 1)]
    for group in groups:
        order = rng.permutation(group)
        ends = _ends(len(order), shares)
        for part, chunk in zip(parts, np.split(order, ends), strict=True):
            part.append(chunk)
    shuffled = [rng.permutation(np.concatenate(part)) for part in parts]
    if any(len(part) == 0 for part in shuffled):
        raise DatasetMismatch(
            f"{rows} rows are too few: give {FEW_ROWS} or more, of which most are trained on and the rest chosen by "
            "and held out",
            pointer="#/x",
        )
    return shuffled


def _ends(count: int, shares: tuple[float, ...]) -> list[int]:
    """Return where a class is cut; a class of three rows or more stands in every part."""
    sizes = [round(count * share) for share in shares]
    if count >= len(shares) + 1:
        sizes = [max(1, size) for size in sizes]
        while sum(sizes) >= count:
            sizes[int(np.argmax(sizes))] -= 1
    return [int(end) for end in np.cumsum(sizes)]
