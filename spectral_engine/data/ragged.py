"""Samples of different lengths, one after another in an array, with a row pointer beside: as graphs of a data set.

Everywhere in the engine they are rows like any other: each is as long as the longest, behind its end repeated from its
start, and how long it is stands in an array of its own beside it. Who calls a model gives it the sample alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import DatasetMismatch
from spectral_engine.records.rows import lengths_of

Array = NDArray[Any]
POINTER = "_ptr"
OF_ALL = "ptr"  # of every array that has as many entries and no pointer of its own
NOT_COUNTED = -1  # the label behind the end of a sample


@dataclass(frozen=True)
class Ragged:
    """Arrays of one part by name [samples, …, longest, …], along which axis of a sample each differs, and lengths."""

    arrays: dict[str, Array]
    axes: dict[str, int] = field(default_factory=dict)
    lengths: dict[str, Array] = field(default_factory=dict)
    used: tuple[str, ...] = ()  # the names of the pointers


def are_ragged(parts: Iterable[Mapping[str, Array]], inputs: Sequence[InputSpec]) -> bool:
    """Say whether arrays come with row pointers; an input of the model that is called so is none."""
    taken = {spec.name for spec in inputs}
    return any(name not in taken and _points(name, arrays) for arrays in parts for name in arrays)


def _points(name: str, arrays: Mapping[str, Array]) -> bool:
    return name == OF_ALL or (name.endswith(POINTER) and name.removesuffix(POINTER) in arrays)


def into_rows(
    parts: Mapping[str, Mapping[str, Array]], inputs: Sequence[InputSpec], labels: str | None
) -> dict[str, Ragged]:
    """Return the samples of every part as rows of one length; raises DatasetMismatch by array.

    `labels` names the array of labels: those of a sample's entries are class numbers, and behind its end −1.
    """
    free = {spec.name: [size is None for size in spec.shape] for spec in inputs}
    pointed = {part: _pointers(arrays, inputs) for part, arrays in parts.items()}
    cut = {
        part: {
            name: (pointer, _ragged_axis(name, arrays[name], pointer, free.get(name)))
            for name, pointer in pointed[part].items()
        }
        for part, arrays in parts.items()
    }
    if labels is not None:
        for part, arrays in parts.items():
            _point_labels(labels, arrays, cut[part])
    names = dict.fromkeys(name for ragged in cut.values() for name in ragged)
    longest = {
        name: max(int(np.diff(ragged[name][0]).max()) for ragged in cut.values() if name in ragged)
        for name in names
    }
    made = {}
    for part, arrays in parts.items():
        ragged = cut[part]
        used = [name for name in arrays if _points(name, arrays) and name not in free]
        kept = {name: array for name, array in arrays.items() if name not in used}
        for name, (pointer, axis) in ragged.items():
            fill = None
            if name == labels:
                fill = NOT_COUNTED
                _refuse_labels(name, arrays[name])
            kept[name] = _as_rows(arrays[name], pointer, axis, longest[name], fill)
        fed = {name: cutting for name, cutting in ragged.items() if name != labels}
        made[part] = Ragged(
            kept,
            {name: axis for name, (_, axis) in fed.items()},
            {lengths_of(name): np.diff(pointer) for name, (pointer, _) in fed.items()},
            tuple(used),
        )
    return made


def lay_inputs(
    inputs: Sequence[InputSpec], samples: Mapping[str, Array], ragged: Mapping[str, int]
) -> list[InputSpec]:
    """Return inputs whose rows are whole samples where these have as many axes as the model takes."""
    return [
        replace(spec, rows_axis=None, said=True)
        if spec.name in ragged and samples[spec.name].ndim == len(spec.shape) + 1
        else spec
        for spec in inputs
    ]


def _pointers(arrays: Mapping[str, Array], inputs: Sequence[InputSpec]) -> dict[str, Array]:
    """Return the checked pointer of each array that has one."""
    taken = {spec.name for spec in inputs}
    pointers: dict[str, Array] = {}
    for name, array in arrays.items():
        if name not in taken and name != OF_ALL and _points(name, arrays):
            pointers[name.removesuffix(POINTER)] = _checked(name, array)
    if OF_ALL in arrays and OF_ALL not in taken:
        pointer = _checked(OF_ALL, arrays[OF_ALL])
        for name, array in arrays.items():
            whole = array.ndim > 0 and len(array) == pointer[-1]
            if name not in pointers and not _points(name, arrays) and whole:
                pointers[name] = pointer
    counts = {name: len(pointer) - 1 for name, pointer in pointers.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise DatasetMismatch(
            f"the numbers of samples differ by their row pointers: {said}",
            pointer=f"#/{next(iter(counts))}{POINTER}",
        )
    return pointers


def _checked(name: str, pointer: Array) -> NDArray[np.int64]:
    good = pointer.ndim == 1 and pointer.dtype.kind in "iu" and len(pointer) > 1
    if not good or pointer[0] != 0 or (np.diff(pointer.astype(np.int64)) < 0).any():
        raise DatasetMismatch(
            f"{name!r} is no row pointer: give whole numbers [samples + 1] that begin with 0 and never fall, where "
            "sample i has the entries from the i-th up to the next",
            pointer=f"#/{name}",
        )
    return pointer.astype(np.int64)


def _ragged_axis(name: str, array: Array, pointer: Array, free: Sequence[bool] | None) -> int:
    """Return the axis that the pointer cuts: of those as long as it says the first that the model leaves free."""
    total = int(pointer[-1])
    fitting = [axis for axis, size in enumerate(array.shape) if size == total]
    if not fitting:
        raise DatasetMismatch(
            f"the row pointer of {name!r} ends at {total:,}, and the array has shape {list(array.shape)}",
            pointer=f"#/{name}{POINTER}",
        )
    if free is not None and len(free) == array.ndim:
        return next((axis for axis in fitting if free[axis]), fitting[0])
    return fitting[0]


def _point_labels(
    labels: str, arrays: Mapping[str, Array], cut: dict[str, tuple[Array, int]]
) -> None:
    """Give labels without a pointer that of the first input with as many entries, unless there is one a sample."""
    array = arrays.get(labels)
    if array is None or labels in cut or not cut or array.ndim == 0:
        return
    pointers = [pointer for pointer, _ in cut.values()]
    if len(array) == len(pointers[0]) - 1:
        return
    matching = next((pointer for pointer in pointers if pointer[-1] == len(array)), None)
    if matching is not None:
        cut[labels] = (matching, 0)


def _refuse_labels(name: str, array: Array) -> None:
    if array.ndim != 1 or array.dtype.kind not in "iub":
        raise DatasetMismatch(
            f"{name!r} holds {array.dtype.name}{list(array.shape[1:])} for each entry of a sample, and class numbers "
            "alone are read there: give one whole number for each, or one label for each sample",
            pointer=f"#/{name}",
        )


def _as_rows(array: Array, pointer: Array, axis: int, longest: int, fill: int | None) -> Array:
    """Return samples [n, …, longest, …], behind their ends repeated from their starts, or filled."""
    flat = np.moveaxis(array, axis, 0)
    lengths = np.diff(pointer)[:, None]
    steps = np.arange(max(1, longest))[None]
    if len(flat) == 0:
        flat = np.zeros((1, *flat.shape[1:]), flat.dtype)
    entries = pointer[:-1, None] + steps % np.maximum(lengths, 1)
    rows = flat[np.minimum(entries, len(flat) - 1)]
    if fill is not None:
        rows = np.where(steps < lengths, rows.astype(np.int64), fill)
    elif (lengths == 0).any():
        rows[lengths[:, 0] == 0] = 0  # of a sample of no entries nothing can be repeated
    return np.ascontiguousarray(np.moveaxis(rows, 1, axis + 1))
