"""Rows in pairs: arrays `x_a` and `x_b`, or one with both rows of each pair behind each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.checks import fit
from spectral_engine.data.part_names import PARTS
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.reading.arrays import INPUT_NAMES
from spectral_engine.data.row_source import RowSource
from spectral_engine.data.spec import InputSpec
from spectral_engine.data.split import Split
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
SIDES = (("_a", "_b"), ("_1", "_2"), ("_left", "_right"))


def join_pairs(arrays: Mapping[str, Array], inputs: Sequence[InputSpec]) -> dict[str, Array]:
    """Return arrays with `x_a` and `x_b` put together as `x` [n, 2, …].

    Raises DatasetMismatch where both sides differ in shape, or one is missing.
    """
    names = [*(spec.name for spec in inputs), *(INPUT_NAMES if len(inputs) == 1 else ())]
    joined = dict(arrays)
    for name in names:
        for part in ("", *(f"_{word}" for word in PARTS)):
            for left, right in SIDES:
                both = [f"{name}{side}{part}" for side in (left, right)]
                if f"{name}{part}" in joined or not any(one in joined for one in both):
                    continue
                joined[f"{name}{part}"] = _stacked(joined, both)
                for one in both:
                    del joined[one]
    return joined


def _stacked(arrays: Mapping[str, Array], both: Sequence[str]) -> Array:
    missing = next((one for one in both if one not in arrays), None)
    if missing is not None:
        raise DatasetMismatch(
            f"there is no array {missing!r} beside {both[1 - both.index(missing)]!r}",
            pointer=f"#/{missing}",
        )
    left, right = (arrays[one] for one in both)
    if left.shape != right.shape:
        raise DatasetMismatch(
            f"{both[0]!r} has the shape {list(left.shape)} and {both[1]!r} {list(right.shape)}: pad both alike",
            pointer=f"#/{both[1]}",
        )
    return np.stack([left, right], axis=1)


def is_paired(array: RowSource, spec: InputSpec) -> bool:
    """Say whether an array holds two rows of this input in each of its own [n, 2, …]."""
    row = array.shape[1:]
    if len(row) != len(spec.row_shape) + 1 or row[0] != 2:
        return False
    return all(size in {None, actual} for actual, size in zip(row[1:], spec.row_shape, strict=True))


def fit_pairs(
    array: Array,
    spec: InputSpec,
    field: str,
    preprocessing: Preprocessing | None,
    notes: list[str],
) -> Array:
    """Return pairs [n, 2, …] in the model's type and shape, in memory; raises DatasetMismatch at `#/field`."""
    rows = fit(array.reshape(-1, *array.shape[2:]), spec, field, preprocessing, notes)[:]
    return rows.reshape(len(array), 2, *rows.shape[1:])


def are_pairs(inputs: Mapping[str, RowSource], specs: Sequence[InputSpec]) -> bool:
    """Say whether all inputs hold pairs; raises DatasetMismatch where only some do."""
    paired = [is_paired(inputs[spec.name], spec) for spec in specs]
    if any(paired) and not all(paired):
        single = specs[paired.index(False)].name
        raise DatasetMismatch(
            f"rows come in pairs, and {single!r} has one row for both: give {single}_a and {single}_b",
            pointer=f"#/{single}",
        )
    return all(paired)


def one_by_one(split: Split) -> Split:
    """Return both rows of each pair as rows of their own, each with the label of the pair."""
    inputs = {name: array.reshape(-1, *array.shape[2:]) for name, array in split.arrays.items()}
    labels = None if split.labels is None else np.repeat(split.labels, 2, axis=0)
    return replace(split, inputs=inputs, labels=labels)
