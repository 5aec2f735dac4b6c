"""Samples of different lengths, one after another in an array, with a row pointer beside: as graphs of a data set.

What says the same is read as a pointer: the number of the sample beside each entry (`data/graphs.py`).

Everywhere in the engine they are rows like any other: each is as long as the longest, behind its end repeated from its
start, and how long it is stands in an array of its own beside it. Who calls a model gives it the sample alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.graphs import (
    BATCH,
    edge_inputs,
    grows_from_zero,
    node_pointer,
    numbered_in_each,
    pointer_of_batch,
    takes_batch,
    with_edges,
)
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
    return any(_pointing(arrays, inputs) for arrays in parts)


def into_rows(
    parts: Mapping[str, Mapping[str, Array]],
    inputs: Sequence[InputSpec],
    labels: str | None,
    *,
    in_each: bool = False,
) -> dict[str, Ragged]:
    """Return the samples of every part as rows of one length; raises DatasetMismatch by array.

    `labels` names the array of labels: those of a sample's entries are class numbers, and behind its end −1. The ends
    of edges are numbered from 0 in each sample, where `in_each` says so, and else as they show.
    """
    free = {spec.name: [size is None for size in spec.shape] for spec in inputs}
    packed = {part: _packed(arrays, inputs) for part, arrays in parts.items()}
    cut = {
        part: {
            name: (pointer, _ragged_axis(name, one.arrays[name], pointer, free.get(name)))
            for name, pointer in one.pointers.items()
        }
        for part, one in packed.items()
    }
    if not in_each:
        packed = {part: _numbered(one, inputs) for part, one in packed.items()}
    if labels is not None:
        for part, one in packed.items():
            _point_labels(labels, one.arrays, cut[part])
    names = dict.fromkeys(name for ragged in cut.values() for name in ragged)
    longest = {
        name: max(int(np.diff(ragged[name][0]).max()) for ragged in cut.values() if name in ragged)
        for name in names
    }
    made = {}
    for part, one in packed.items():
        ragged = cut[part]
        kept = {name: array for name, array in one.arrays.items() if name not in one.used}
        for name, (pointer, axis) in ragged.items():
            fill = None
            if name == labels:
                fill = NOT_COUNTED
                _refuse_labels(name, one.arrays[name])
            kept[name] = _as_rows(one.arrays[name], pointer, axis, longest[name], fill)
        fed = {name: cutting for name, cutting in ragged.items() if name != labels}
        made[part] = Ragged(
            kept,
            {name: axis for name, (_, axis) in fed.items()},
            {lengths_of(name): np.diff(pointer) for name, (pointer, _) in fed.items()},
            one.used,
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


@dataclass(frozen=True)
class _Packed:
    """Arrays of one part with all samples one after another, their pointers, and what these were read from."""

    arrays: Mapping[str, Array]
    pointers: Mapping[str, Array]
    used: tuple[str, ...]


def _packed(arrays: Mapping[str, Array], inputs: Sequence[InputSpec]) -> _Packed:
    """Return arrays of a part with the pointer of each that has one; of a net's own `batch` all is one graph."""
    pointing = _pointing(arrays, inputs)
    ends = {name: axis for name, axis in edge_inputs(inputs).items() if name in arrays}
    pointers = with_edges(_pointers(arrays, pointing, ends), arrays, ends)
    _refuse_counts(pointers)
    nodes = node_pointer(pointers, ends)
    laid = dict(arrays)
    if nodes is not None and takes_batch(inputs):
        laid[BATCH] = np.zeros(int(nodes[-1]), np.int64)
        pointers[BATCH] = nodes
    used = tuple(name for name in pointing if name not in {spec.name for spec in inputs})
    return _Packed(laid, pointers, used)


def _numbered(packed: _Packed, inputs: Sequence[InputSpec]) -> _Packed:
    """Return the same with edges numbered from 0 in each sample."""
    ends = {name: axis for name, axis in edge_inputs(inputs).items() if name in packed.pointers}
    nodes = node_pointer(packed.pointers, ends)
    if nodes is None:
        return packed
    numbered = {
        name: numbered_in_each(name, packed.arrays[name], axis, packed.pointers[name], nodes)
        for name, axis in ends.items()
    }
    return replace(packed, arrays={**packed.arrays, **numbered})


def _pointing(arrays: Mapping[str, Array], inputs: Sequence[InputSpec]) -> list[str]:
    """Return the names of the arrays that say which entries are those of a sample."""
    taken = {spec.name for spec in inputs}
    pointing = [
        name
        for name in arrays
        if name not in taken and (name == OF_ALL or _pointed(name, arrays) is not None)
    ]
    # By itself the number of a batch may be a column like any other, but for nets of edges.
    if BATCH in arrays and (takes_batch(inputs) or (BATCH not in taken and edge_inputs(inputs))):
        pointing.append(BATCH)
    return pointing


def _pointed(name: str, arrays: Mapping[str, Array]) -> str | None:
    """Return the array of which one by this name says where its samples are."""
    for ending in (POINTER, f"_{BATCH}"):
        if name.endswith(ending) and name.removesuffix(ending) in arrays:
            return name.removesuffix(ending)
    return None


def _pointers(
    arrays: Mapping[str, Array], pointing: Sequence[str], ends: Mapping[str, int]
) -> dict[str, Array]:
    """Return the checked pointer of each array that is told one; edges are as long as no other array says."""
    pointers: dict[str, Array] = {}
    for name in sorted(pointing, key=lambda name: name in {OF_ALL, BATCH}):
        read = pointer_of_batch if name.endswith(BATCH) else _checked
        pointer = read(name, arrays[name])
        pointed = _pointed(name, arrays)
        if pointed is not None:
            pointers.setdefault(pointed, pointer)
            continue
        for other, array in arrays.items():
            whole = array.ndim > 0 and len(array) == pointer[-1]
            if whole and other not in pointing and other not in ends:
                pointers.setdefault(other, pointer)
    return pointers


def _refuse_counts(pointers: Mapping[str, Array]) -> None:
    """Raise DatasetMismatch where pointers tell of more samples for one array than for another."""
    counts = {name: len(pointer) - 1 for name, pointer in pointers.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise DatasetMismatch(
            f"the numbers of samples differ by their row pointers: {said}",
            pointer=f"#/{next(iter(counts))}{POINTER}",
        )


def _checked(name: str, pointer: Array) -> NDArray[np.int64]:
    if not grows_from_zero(pointer, least=2):
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
