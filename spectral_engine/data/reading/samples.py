"""A folder or an archive with one `.npz` for each sample: laid one after another, with row pointers beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.allowance import Allowance, most_in_memory
from spectral_engine.data.images.names import pointer_to
from spectral_engine.data.part_names import PARTS
from spectral_engine.data.ragged import POINTER
from spectral_engine.data.reading.members import members_of
from spectral_engine.data.reading.npz import read_npz
from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
MOST_MEMBER_BYTES = 2**28
SUFFIX = ".npz"


@dataclass(frozen=True)
class Samples:
    """Arrays as one `.npz` with all samples would hold them, and notes."""

    arrays: dict[str, Array]
    notes: list[str]


def holds_samples(names: Sequence[str]) -> bool:
    """Say whether these names of files are those of `.npz` files."""
    return any(name.endswith(SUFFIX) for name in names)


def read_samples(path: Path, inputs: Sequence[InputSpec]) -> Samples:
    """Read a folder, a zip or a tar archive, in the order of the names; folders called as parts hold these.

    Raises DatasetMismatch by file and array.
    """
    parts: dict[str, dict[str, dict[str, Array]]] = {}
    allowed = Allowance(most_in_memory())
    with members_of(path) as members:
        names = sorted(name for name in members.sizes if name.endswith(SUFFIX))
        _refuse_other_files(names)
        for name in names:
            arrays = _arrays(members.read(name, MOST_MEMBER_BYTES), name)
            size = sum(array.nbytes for array in arrays.values())
            allowed.take(size, repr(name), pointer_to(name))
            parts.setdefault(_part_of(name), {})[name] = arrays
    if "" in parts and len(parts) > 1:
        name = next(iter(parts[""]))
        raise DatasetMismatch(
            f"{name!r} lies in no folder of a part, and others do: lay each sample into train/, val/ or test/",
            pointer=pointer_to(name),
        )
    notes = [f"{sum(map(len, parts.values())):,} samples, one in each file"]
    specs = {spec.name: spec for spec in inputs}
    packed: dict[str, Array] = {}
    for part, samples in parts.items():
        laid = _one_after_another(samples, specs, notes)
        packed |= {f"{name}_{part}" if part else name: array for name, array in laid.items()}
    return Samples(packed, list(dict.fromkeys(notes)))


def _refuse_other_files(names: Sequence[str]) -> None:
    """Raise DatasetMismatch for files that hold all samples, or all of a part."""
    stems = [PurePosixPath(name).stem.lower() for name in names]
    if len(names) == 1 or all(stem in PARTS for stem in stems):
        raise DatasetMismatch(
            f"{names[0]!r} lies where each .npz is one sample: give the file itself, with all samples in it, and parts "
            "as x_train, y_train, x_test …",
            pointer=pointer_to(names[0]),
        )


def _part_of(name: str) -> str:
    """Return the part after which a folder above a file is called, else nothing."""
    folders = PurePosixPath(name).parent.parts
    return next((PARTS[one.lower()] for one in folders if one.lower() in PARTS), "")


def _arrays(content: bytes, name: str) -> dict[str, Array]:
    try:
        return read_npz(BytesIO(content))
    except DatasetMismatch as error:
        raise DatasetMismatch(f"{name!r}: {error.detail}", pointer=pointer_to(name)) from error


def _one_after_another(
    samples: Mapping[str, Mapping[str, Array]], specs: Mapping[str, InputSpec], notes: list[str]
) -> dict[str, Array]:
    first, expected = next(iter(samples.items()))
    for name, arrays in samples.items():
        if odd := sorted(arrays.keys() ^ expected.keys()):
            without = name if odd[0] in expected else first
            raise DatasetMismatch(
                f"{without!r} holds no array {odd[0]!r}, and other samples do: give each sample the same arrays",
                pointer=pointer_to(without),
            )
    laid: dict[str, Array] = {}
    for array in expected:
        one_each = {name: arrays[array] for name, arrays in samples.items()}
        laid |= _laid(array, one_each, specs.get(array), notes)
    return _labels_by_entry(laid)


def _laid(
    array: str, samples: Mapping[str, Array], spec: InputSpec | None, notes: list[str]
) -> dict[str, Array]:
    """Return an array of all samples, and where its samples begin unless they are all of one shape."""
    each = [*samples.values()]
    file = _of_other_rank(samples)
    if file is None:
        differing = _differing(each)
        if len(differing) < 2:
            return _joined(array, each, differing, spec)
        said = f"differs from sample to sample along axes {differing[0]} and {differing[1]}"
        file = next(name for name, one in samples.items() if one.shape != each[0].shape)
    else:
        said = "has more axes in one sample than in another"
    if spec is None:
        notes.append(f"array {array!r} {said}, and was not read")
        return {}
    raise DatasetMismatch(
        f"{file!r}: array {array!r} {said}, and one axis may: pad the other, or give edges for a matrix of them",
        pointer=pointer_to(file),
    )


def _of_other_rank(samples: Mapping[str, Array]) -> str | None:
    ranks = {name: one.ndim for name, one in samples.items()}
    first = next(iter(ranks.values()))
    return next((name for name, rank in ranks.items() if rank != first), None)


def _differing(each: Sequence[Array]) -> list[int]:
    shapes = np.array([one.shape for one in each]).reshape(len(each), -1)
    return [int(axis) for axis in np.flatnonzero((shapes != shapes[0]).any(axis=0))]


def _joined(
    array: str, each: Sequence[Array], differing: Sequence[int], spec: InputSpec | None
) -> dict[str, Array]:
    axis = differing[0] if differing else _whole_axis(each[0], spec)
    if axis is None:
        one_each = each[0].shape == (1,) and spec is None  # as graph libraries write one label
        return {array: np.concatenate(each) if one_each else np.stack(each)}
    lengths = [one.shape[axis] for one in each]
    joined = {array: np.concatenate(each, axis=axis)}
    if axis == 0 and set(lengths) == {1}:
        return joined
    return joined | {f"{array}{POINTER}": np.concatenate([[0], np.cumsum(lengths)])}


def _whole_axis(one: Array, spec: InputSpec | None) -> int | None:
    """Return the free axis of an input that takes a sample as it is, where all samples happen to be as long."""
    if spec is None or one.ndim != len(spec.shape):
        return None
    return next((axis for axis, size in enumerate(spec.shape) if size is None), None)


def _labels_by_entry(arrays: dict[str, Array]) -> dict[str, Array]:
    """Join what holds one number for each entry of samples that all happen to be as long."""
    pointers = [array for name, array in arrays.items() if name.endswith(POINTER)]
    for name, array in list(arrays.items()):
        pointed = name.endswith(POINTER) or f"{name}{POINTER}" in arrays
        if pointed or array.ndim != 2:
            continue
        ends = np.arange(len(array) + 1) * array.shape[1]
        if any(np.array_equal(ends, pointer) for pointer in pointers):
            arrays[name] = array.reshape(-1)
            arrays[f"{name}{POINTER}"] = ends
    return arrays
