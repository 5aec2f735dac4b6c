"""Arrays by name, to three parts: which feed inputs, which are labels, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.checks import fit
from spectral_engine.data.digest import joined_digest
from spectral_engine.data.dividing import divided
from spectral_engine.data.labels import check_labels
from spectral_engine.data.placing import (
    count_rows,
    is_state,
    resting_state,
    rows_first,
    whole_samples,
)
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.ragged import Ragged, are_ragged, into_rows, lay_inputs
from spectral_engine.data.reading.arrays import (
    INPUT_NAMES,
    Named,
    by_part,
    label_name,
    likely_label,
)
from spectral_engine.data.reading.beside import read_array
from spectral_engine.data.reading.pairs import (
    are_pairs,
    fit_pairs,
    is_paired,
    join_pairs,
    one_by_one,
)
from spectral_engine.data.row_source import RowSource, by_index
from spectral_engine.data.spec import InputSpec
from spectral_engine.data.split import Claim, Split, Splits
from spectral_engine.data.summary import summed_up
from spectral_engine.data.written import Written
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]


@dataclass(frozen=True)
class Asked:
    """What is asked of arrays: `array` names the labels, which may also lie `beside` the file, in one of their own.

    `in_each` says that the nodes of each graph are numbered from 0, as where each lay in a file of its own.
    """

    seed: int
    preprocessing: Preprocessing | None = None
    array: str | None = None
    outputs: Sequence[str] = ()
    claim: Claim | None = None
    beside: Path | None = None
    in_each: bool = False


@dataclass(frozen=True)
class _Parts:
    """Arrays by part as the file has them, the parts that are used, and what they feed.

    `read` gathers the names of the arrays that somebody reads.
    """

    named: dict[str, Named]
    used: list[str]
    inputs: list[InputSpec]
    ragged: dict[str, Ragged]
    read: set[str]

    @property
    def are_given(self) -> bool:
        """Whether the file itself says which rows are for what."""
        return "train" in self.named


def splits_of_arrays(
    arrays: dict[str, Array], digest: str, inputs: Sequence[InputSpec], asked: Asked
) -> Splits:
    """Return the parts that arrays hold or that are cut from them; raises DatasetMismatch that names an array."""
    notes: list[str] = []
    parts = _parts(arrays, inputs, asked, notes)
    rows, labels = _rows_and_labels(parts, asked, notes)
    if parts.used == [""] and labels[""] is None:
        labels[""], read_beside = _beside(asked.beside, rows[""], notes)
        digest = joined_digest(digest, read_beside)
    notes += _unread(parts, rows, labels)
    splits = _as_splits(parts, rows, _labels(labels))
    paired = all(are_pairs(split.inputs, parts.inputs) for split in splits.values())
    if paired:
        notes.append("rows come in pairs: each label is of two rows that follow each other")
    for part, split in splits.items():
        _check_rows(split, part)
    cut = divided(splits, asked.seed, asked.claim, notes)
    if paired:
        cut = [one_by_one(split) for split in cut]
    made = summed_up(digest, cut, "given" if parts.are_given else "random", notes, None, None)
    given = tuple(parts.used) if parts.are_given else ()
    return replace(made, given=given, written=Written(paired=paired))


def _parts(
    arrays: dict[str, Array], inputs: Sequence[InputSpec], asked: Asked, notes: list[str]
) -> _Parts:
    """Take names apart, and lay samples of different lengths as rows."""
    arrays = join_pairs(arrays, inputs)
    feeding = [spec.name for spec in inputs]
    named = by_part(arrays, [*feeding, *asked.outputs], feeding)
    given = ("train", "val", "test") if "train" in named else ("",)
    used = [part for part in given if part in named]
    read: set[str] = set()
    ragged: dict[str, Ragged] = {}
    if are_ragged((named[part].arrays for part in used), inputs):
        labels = _raw_labels(named[used[0]], asked.outputs, asked.array, inputs)[1]
        ragged = into_rows(
            {part: named[part].arrays for part in used}, inputs, labels, in_each=asked.in_each
        )
        for part, laid in ragged.items():
            read |= {named[part].written[name] for name in laid.used}
            named[part] = replace(named[part], arrays=laid.arrays)
        first = ragged[used[0]]
        inputs = lay_inputs(inputs, first.arrays, first.axes)
        names = ", ".join(map(repr, first.axes))
        notes.append(f"{names}: samples of different lengths")
    return _Parts(named, used, _placed(named[used[0]], inputs), ragged, read)


def _rows_and_labels(
    parts: _Parts, asked: Asked, notes: list[str]
) -> tuple[dict[str, dict[str, RowSource]], dict[str, Array | None]]:
    """Return the inputs of every used part by name, fitted, and its labels as they were written."""
    rows, labels = {}, {}
    for part in parts.used:
        named = parts.named[part]
        labels[part], label = _raw_labels(named, asked.outputs, asked.array, parts.inputs)
        rows[part], names = _inputs(
            named, parts.inputs, labels[part], part, asked.preprocessing, notes
        )
        parts.read.update(named.written[name] for name in (*names, *([label] if label else [])))
        unusual = [
            named.written[name]
            for name in names
            if part and named.written[name] != f"{name}_{part}"
        ]
        notes += [f"array {name!r} is read as the rows of {part!r}" for name in unusual]
        if label not in {None, "y", asked.array}:
            notes.append(f"labels are read from array {named.written[str(label)]!r}")
    return rows, labels


def _as_splits(
    parts: _Parts, rows: Mapping[str, dict[str, RowSource]], labels: Mapping[str, Array | None]
) -> dict[str, Split]:
    axes = {spec.name: spec.rows_axis for spec in parts.inputs if spec.said}
    splits = {part: Split(rows[part], labels[part], axes) for part in parts.used}
    for part, laid in parts.ragged.items():
        fed = {**splits[part].inputs, **laid.lengths}
        splits[part] = replace(splits[part], inputs=fed, ragged=laid.axes)
    return splits


def _beside(
    path: Path | None, inputs: Mapping[str, RowSource], notes: list[str]
) -> tuple[Array | None, list[Path]]:
    """Return the labels in a file beside that of the inputs, where it has as many rows, and which files were read."""
    if path is None:
        return None, []
    labels = read_array(path)
    rows = len(next(iter(inputs.values())))
    if labels.ndim == 0 or len(labels) != rows:
        notes.append(f"{path.name!r} lies beside the file, has not {rows:,} rows, and was not read")
        return None, []
    notes.append(f"labels are read from {path.name!r}, which lies beside the file")
    return labels, [path]


def _unread(
    parts: _Parts, rows: Mapping[str, dict[str, RowSource]], labels: Mapping[str, Array | None]
) -> list[str]:
    """Say which arrays nobody reads."""
    counts = {part: len(next(iter(rows[part].values()))) for part in parts.used}
    bare = all(one is None for one in labels.values())
    return [
        _not_read(named, name, counts.get(part) if bare else None)
        for part, named in parts.named.items()
        for name in named.arrays
        if named.written[name] not in parts.read
    ]


def _not_read(named: Named, name: str, rows: int | None) -> str:
    """Say that nobody read an array; in a job without labels of `rows`, also how it would be the labels."""
    array = named.arrays[name]
    said = f"array {named.written[name]!r} was not read"
    if rows is None or array.ndim == 0 or len(array) != rows:
        return said
    return (
        f"{said}, and the job is one without labels: pass labels.array {name!r} where it holds them"
    )


def _placed(named: Named, inputs: Sequence[InputSpec]) -> list[InputSpec]:
    """Return the inputs with their rows where the arrays show them to lie."""
    placed = []
    for spec in inputs:
        name = _array_of(named, spec, inputs)
        placed.append(spec if name is None else whole_samples(spec, named.arrays[name]))
    return placed


def _array_of(named: Named, spec: InputSpec, inputs: Sequence[InputSpec]) -> str | None:
    """Return the name of the array that feeds an input: its own, or a usual one where there is no other input."""
    alone = sum(not is_state(other) for other in inputs) == 1 and not is_state(spec)
    names = [spec.name, *(INPUT_NAMES if len(inputs) == 1 or alone else ())]
    return next((name for name in names if name in named.arrays), None)


def _inputs(
    named: Named,
    inputs: Sequence[InputSpec],
    labels: Array | None,
    part: str,
    prepare: Preprocessing | None,
    notes: list[str],
) -> tuple[dict[str, RowSource], list[str]]:
    """Return the rows of all inputs of a part, fitted, and the names of their arrays."""
    suffix = f"_{part}" if part else ""
    fitted: dict[str, RowSource] = {}
    read: list[str] = []
    array_names = {spec.name: _array_of(named, spec, inputs) for spec in inputs}
    arrays = {name: named.arrays[array] for name, array in array_names.items() if array is not None}
    rows = count_rows(arrays, inputs, labels)
    for spec in inputs:
        name = array_names[spec.name]
        if name is None:
            zeros = resting_state(spec, rows, notes)
            if zeros is not None:
                fitted[spec.name] = by_index(zeros)
                continue
            usual = dict.fromkeys(
                [f"{spec.name}{suffix}", *([f"x{suffix}"] if len(inputs) == 1 else [])]
            )
            raise DatasetMismatch(
                f"input {spec.name!r} needs an array {' or '.join(map(repr, usual))}; "
                f"the file holds {', '.join(sorted(named.written.values())) or 'none'}",
                pointer=f"#/{spec.name}{suffix}",
            )
        array = rows_first(named.arrays[name], spec, rows, named.written[name], notes)
        if is_paired(array, spec):
            fitted[spec.name] = fit_pairs(array, spec, named.written[name], prepare, notes)
        else:
            fitted[spec.name] = fit(array, spec, named.written[name], prepare, notes)
        read.append(name)
    return fitted, read


def _raw_labels(
    named: Named, outputs: Sequence[str], array: str | None, inputs: Sequence[InputSpec]
) -> tuple[Array | None, str | None]:
    fed = {_array_of(named, spec, inputs) for spec in inputs}
    name = label_name(named, [output for output in outputs if output not in fed], array)
    if name is None:
        rows = {len(named.arrays[one]) for one in fed if one is not None and named.arrays[one].ndim}
        name = likely_label(named, fed, rows)
    if name is None or (name in fed and array is None):
        return None, None
    return named.arrays[
        name
    ], name  # an input too, where it is asked for: what an autoencoder aims at


def _labels(raw: dict[str, Array | None]) -> dict[str, Array | None]:
    """Check the labels of all parts together, so that they have one type."""
    missing = [part for part, labels in raw.items() if labels is None]
    if len(missing) == len(raw):
        return dict(raw)
    if missing:
        name = f"y_{missing[0]}"
        raise DatasetMismatch(f"there is no array {name!r}", pointer=f"#/{name}")
    present = {part: labels for part, labels in raw.items() if labels is not None}
    first = next(iter(present))
    for part, labels in present.items():
        if labels.ndim == 0 or labels.shape[1:] != present[first].shape[1:]:
            raise DatasetMismatch(
                f"{_called(part)!r} has shape {list(labels.shape)}, {_called(first)!r} "
                f"{list(present[first].shape)}",
                pointer=f"#/{_called(part)}",
            )
    joined = check_labels(_joined([*present.values()]), _called(first))
    ends = np.cumsum([len(labels) for labels in present.values()])[:-1]
    return dict(zip(present, np.split(joined, ends), strict=True))


def _called(part: str) -> str:
    return f"y_{part}" if part else "y"


def _joined(labels: list[Array]) -> Array:
    kinds = {part.dtype.kind for part in labels}
    if len(kinds) > 1 and kinds & set("US"):
        raise DatasetMismatch("labels are texts in one part and numbers in another", pointer="#/y")
    return np.concatenate(labels)


def _check_rows(split: Split, part: str) -> None:
    suffix = f"_{part}" if part else ""
    counts = {name: len(array) for name, array in split.inputs.items()}
    if split.labels is not None:
        counts["y"] = len(split.labels)
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name}{suffix} has {count}" for name, count in counts.items())
        raise DatasetMismatch(f"the numbers of rows differ: {said}", pointer=f"#/y{suffix}")
