"""Where the rows of an array lie: its own first axis from here on, whatever the model's shape is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.checks import matches, note
from spectral_engine.data.reading.pairs import is_paired
from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import InvalidRequest
from spectral_engine.records.rows import RowsAxis

Array = NDArray[Any]
STATE = re.compile(
    r"(.*[_./])?(h|c|hn|cn|h_?0|c_?0|state|states|hidden|cell|cache|memory|past)(_?(in|init|\d+))?",
    re.IGNORECASE,
)


def as_said(inputs: Sequence[InputSpec], said: RowsAxis | None) -> list[InputSpec]:
    """Return inputs whose rows lie where the request says; raises InvalidRequest at `#/rows_axis`."""
    if said is None:
        return list(inputs)
    by_name: Mapping[str, int | None]
    by_name = said if isinstance(said, Mapping) else {one.name: said for one in inputs if one.shape}
    unknown = [name for name in by_name if name not in {one.name for one in inputs}]
    if unknown:
        names = ", ".join(repr(one.name) for one in inputs)
        raise InvalidRequest(
            f"rows_axis names {unknown[0]!r}; the model's inputs are {names}",
            pointer=f"#/rows_axis/{unknown[0]}",
        )
    return [_at(one, by_name[one.name]) if one.name in by_name else one for one in inputs]


def _at(spec: InputSpec, axis: int | None) -> InputSpec:
    if axis is not None and not -len(spec.shape) <= axis < len(spec.shape):
        raise InvalidRequest(
            f"rows_axis says {axis} of input {spec.name!r}, which takes {spec.describe()}",
            pointer=f"#/rows_axis/{spec.name}",
        )
    return replace(spec, rows_axis=None if axis is None else axis % len(spec.shape), said=True)


def whole_samples(spec: InputSpec, array: Array) -> InputSpec:
    """Return an input of fixed shape without rows where the array holds such an input in each row."""
    first = spec.shape[0] if spec.shape else None
    if spec.said or spec.rows_axis is None or first in {None, 1} or is_paired(array, spec):
        return spec
    fits = matches(array.shape[1:], spec.shape) and not matches(array.shape[1:], spec.row_shape)
    return replace(spec, rows_axis=None, said=True) if fits else spec


def count_rows(
    arrays: Mapping[str, Array], inputs: Sequence[InputSpec], labels: Array | None
) -> int | None:
    """Return how many rows the arrays hold, by what can be told surely: labels, or an input with its rows first."""
    if labels is not None and labels.ndim:
        return len(labels)
    for spec in inputs:
        array = arrays.get(spec.name)
        if array is not None and spec.rows_axis == 0 and array.ndim == len(spec.shape) > 0:
            return len(array)
    return None


def rows_first(
    array: Array, spec: InputSpec, rows: int | None, field: str, notes: list[str]
) -> Array:
    """Return an array with its rows on the first axis.

    One that is given once, in the shape of an input without rows, stands for all; one in the shape of the model's
    input has its rows where the model has them.
    """
    if spec.rows_axis is None:
        if rows is not None and matches(array.shape, spec.shape):
            note(notes, f"{field}: one value for all rows")
            return np.broadcast_to(array, (rows, *array.shape))
        return array
    if spec.rows_axis == 0 or array.ndim != len(spec.shape):
        return array
    moved = np.moveaxis(array, spec.rows_axis, 0)
    plain, turned = (matches(one.shape[1:], spec.row_shape) for one in (array, moved))
    if rows is not None:
        plain, turned = plain and len(array) == rows, turned and len(moved) == rows
    if turned and (not plain or spec.said):
        note(notes, f"{field}: rows are read along axis {spec.rows_axis}")
        return moved
    return array


def is_state(spec: InputSpec) -> bool:
    """Say whether an input is called as the state of a recurrent net is."""
    return spec.dtype.kind == "f" and STATE.fullmatch(spec.name) is not None


def resting_state(spec: InputSpec, rows: int | None, notes: list[str]) -> Array | None:
    """Return zeros for an input that is called as a state is and has a fixed shape; None for any other."""
    sizes = spec.row_shape
    if rows is None or not is_state(spec):
        return None
    if not sizes or any(size is None for size in sizes):
        return None
    note(notes, f"state {spec.name!r} is not in the file, and starts from zeros in every row")
    return np.broadcast_to(np.zeros((), spec.dtype), (rows, *(int(size or 0) for size in sizes)))
