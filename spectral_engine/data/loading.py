"""`load_splits`: a file, and what the model takes, to three checked parts with labels as they were written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from spectral_engine.data.boxes import KnownBoxes
from spectral_engine.data.checks import check_finite, fit
from spectral_engine.data.digest import digest_of
from spectral_engine.data.dividing import divided
from spectral_engine.data.doubt import in_doubt
from spectral_engine.data.images.read import read_images
from spectral_engine.data.labels import check_labels
from spectral_engine.data.placing import (
    as_said,
    count_rows,
    is_state,
    resting_state,
    rows_first,
    whole_samples,
)
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.reading.arrays import (
    INPUT_NAMES,
    Named,
    by_part,
    label_name,
    read_arrays,
)
from spectral_engine.data.reading.box_archive import boxed_images, read_box_archive
from spectral_engine.data.reading.box_images import BoxedImages, read_boxed_images
from spectral_engine.data.reading.kind import kind_of
from spectral_engine.data.reading.pairs import (
    are_pairs,
    fit_pairs,
    is_paired,
    join_pairs,
    one_by_one,
)
from spectral_engine.data.reading.table import read_table
from spectral_engine.data.reading.unpack import unpacked
from spectral_engine.data.spec import InputSpec
from spectral_engine.data.split import Claim, Split, Splits
from spectral_engine.data.written import Written
from spectral_engine.errors import DatasetMismatch, InvalidRequest
from spectral_engine.records.report import DataSummary
from spectral_engine.records.rows import RowsAxis

Array = NDArray[Any]


def load_splits(
    source: str | Path,
    inputs: Sequence[InputSpec],
    *,
    seed: int,
    label: str | None = None,
    preprocessing: Preprocessing | dict[str, Any] | None = None,
    array: str | None = None,
    outputs: Sequence[str] = (),
    claim: Claim | None = None,
    rows_axis: RowsAxis | None = None,
) -> Splits:
    """Read arrays, a table or images; raises DatasetMismatch that names array, column, row or file.

    `label` names the label column of a table, `array` the label array of an .npz file; `outputs` are the names of the
    model's outputs, after which labels may be called. `rows_axis` says where inputs and their arrays have their rows.
    Where rows are cut here, as many are held out as `claim` needs.
    """
    inputs = as_said(inputs, rows_axis)
    path = Path(source)
    if not path.exists():
        raise DatasetMismatch(f"there is no data file {path.name!r}", pointer="#/file")
    if path.is_file() and path.stat().st_size == 0:
        raise DatasetMismatch("the data file is empty", pointer="#/file")
    prepare = _preprocessing(preprocessing)
    digest = digest_of(path)
    with unpacked(path) as plain:
        kind = kind_of(plain)
        if kind in {"folder", "zip", "tar"}:
            return _from_images(plain, kind, digest, inputs, seed, label, prepare, claim)
        if kind == "boxes":
            return _from_boxes(plain, digest, inputs, seed, prepare)
        if prepare is not None:
            prepare.refuse_for_numbers()
        if kind in {"npz", "npy"}:
            arrays = read_arrays(plain, kind)
            splits = _from_arrays(arrays, digest, inputs, seed, prepare, array, outputs, claim)
        else:
            splits = _from_table(plain, digest, inputs, seed, label, prepare, claim)
        return replace(splits, preprocessing=prepare)


def _preprocessing(given: Preprocessing | dict[str, Any] | None) -> Preprocessing | None:
    if given is None or isinstance(given, Preprocessing):
        return given
    try:
        return Preprocessing.model_validate(given)
    except ValidationError as error:
        raise InvalidRequest.of(error, "preprocessing") from error


def _from_images(
    path: Path,
    kind: str,
    digest: str,
    inputs: Sequence[InputSpec],
    seed: int,
    label: str | None,
    prepare: Preprocessing | None,
    claim: Claim | None,
) -> Splits:
    notes: list[str] = []
    cut = partial(divided, seed=seed, claim=claim, notes=notes)
    found = read_images(path, kind, inputs, label, prepare, cut)
    split: Literal["given", "random"] = "given" if found.given else "random"
    splits = _splits(digest, found.parts, split, [*found.notes, *notes], found.column, None)
    return replace(splits, preprocessing=found.preprocessing)


def _from_boxes(
    path: Path,
    digest: str,
    inputs: Sequence[InputSpec],
    seed: int,
    prepare: Preprocessing | None,
) -> Splits:
    if (images := boxed_images(path)) is not None:
        return _from_boxed_images(path, images, digest, inputs, seed, prepare)
    if prepare is not None:
        prepare.refuse_for_numbers()
    found = read_box_archive(path)
    splits = _from_arrays(found.arrays, digest, inputs, seed, prepare, "y", (), None)
    notes = [*found.notes, *splits.summary.notes]
    summary = splits.summary.model_copy(update={"notes": notes})
    written = _written(found.boxes)
    return replace(splits, summary=summary, written=written, preprocessing=prepare)


def _from_boxed_images(
    path: Path,
    images: BoxedImages,
    digest: str,
    inputs: Sequence[InputSpec],
    seed: int,
    prepare: Preprocessing | None,
) -> Splits:
    notes: list[str] = []
    cut = partial(divided, seed=seed, claim=None, notes=notes)
    found = read_boxed_images(path, images, inputs, prepare, cut)
    split: Literal["given", "random"] = "given" if found.given else "random"
    splits = _splits(digest, found.parts, split, [*found.notes, *notes], None, None)
    written = _written(images.known)
    return replace(splits, written=written, preprocessing=found.preprocessing)


def _written(boxes: KnownBoxes) -> Written:
    return Written(
        boxes=boxes.form,
        class_names=boxes.names,
        class_numbers=boxes.numbers,
        crowds=boxes.crowds,
    )


def _from_table(
    path: Path,
    digest: str,
    inputs: Sequence[InputSpec],
    seed: int,
    label: str | None,
    prepare: Preprocessing | None,
    claim: Claim | None,
) -> Splits:
    if len(inputs) != 1:
        raise DatasetMismatch(
            f"a table feeds one input, and the model has {len(inputs)}: give an .npz file",
            pointer="#/file",
        )
    table = read_table(path, label, inputs[0].row_elements, inputs[0].name)
    notes = [*table.notes]
    with in_doubt(table.doubt):
        check_finite(table.features, "features", table.names)
        features = fit(table.features, inputs[0], "features", prepare, notes)
        found = None
        if table.labels is not None:
            found = check_labels(table.labels, table.label or "label")
    whole = Split({inputs[0].name: features}, found)
    parts = divided({"": whole}, seed, claim, notes)
    splits = _splits(digest, parts, "random", notes, table.label, table.names)
    return replace(splits, doubt=table.doubt)


def _from_arrays(
    arrays: dict[str, Array],
    digest: str,
    inputs: Sequence[InputSpec],
    seed: int,
    prepare: Preprocessing | None,
    array: str | None,
    outputs: Sequence[str],
    claim: Claim | None,
) -> Splits:
    notes: list[str] = []
    arrays = join_pairs(arrays, inputs)
    parts = by_part(arrays, [*(spec.name for spec in inputs), *outputs])
    used = (
        [part for part in ("train", "val", "test") if part in parts] if "train" in parts else [""]
    )
    read: set[str] = set()
    inputs = _placed(parts[used[0]], inputs)
    found, raw = {}, {}
    for part in used:
        named = parts[part]
        raw[part], label = _raw_labels(named, outputs, array, inputs)
        found[part], names = _inputs(named, inputs, raw[part], part, prepare, notes)
        read |= {named.written[name] for name in (*names, *([label] if label else []))}
        unusual = [
            named.written[name]
            for name in names
            if part and named.written[name] != f"{name}_{part}"
        ]
        notes += [f"array {name!r} is read as the rows of {part!r}" for name in unusual]
        if label not in {None, "y", array}:
            notes.append(f"labels are read from array {named.written[str(label)]!r}")
    notes += [f"array {name!r} was not read" for name in arrays if name not in read]
    labels = _labels(raw)
    axes = {spec.name: spec.rows_axis for spec in inputs if spec.said}
    splits = {part: Split(found[part], labels[part], axes) for part in used}
    paired = all(are_pairs(split.inputs, inputs) for split in splits.values())
    if paired:
        notes.append("rows come in pairs: each label is of two rows that follow each other")
    for part, split in splits.items():
        _check_rows(split, part)
    given = "train" in parts
    cut = divided(splits, seed, claim, notes)
    if paired:
        cut = [one_by_one(split) for split in cut]
    made = _splits(digest, cut, "given" if given else "random", notes, None, None)
    return replace(made, given=tuple(used) if given else (), written=Written(paired=paired))


def _placed(named: Named, inputs: Sequence[InputSpec]) -> list[InputSpec]:
    """Return the inputs with their rows where the arrays show them to lie."""
    found = []
    for spec in inputs:
        name = _array_of(named, spec, inputs)
        found.append(spec if name is None else whole_samples(spec, named.arrays[name]))
    return found


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
) -> tuple[dict[str, Array], list[str]]:
    """Return the arrays of all inputs of a part, fitted, and the names under which they were found."""
    suffix = f"_{part}" if part else ""
    found, read = {}, []
    held = {spec.name: _array_of(named, spec, inputs) for spec in inputs}
    arrays = {name: named.arrays[array] for name, array in held.items() if array is not None}
    rows = count_rows(arrays, inputs, labels)
    for spec in inputs:
        name = held[spec.name]
        if name is None:
            zeros = resting_state(spec, rows, notes)
            if zeros is not None:
                found[spec.name] = zeros
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
            array = fit_pairs(array, spec, named.written[name], prepare, notes)
        else:
            array = fit(array, spec, named.written[name], prepare, notes)
        found[spec.name] = array
        read.append(name)
    return found, read


def _raw_labels(
    named: Named, outputs: Sequence[str], array: str | None, inputs: Sequence[InputSpec]
) -> tuple[Array | None, str | None]:
    fed = {_array_of(named, spec, inputs) for spec in inputs}
    name = label_name(named, [output for output in outputs if output not in fed], array)
    return (None, None) if name is None or name in fed else (named.arrays[name], name)


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


def _splits(
    digest: str,
    parts: list[Split],
    kind: Literal["given", "random"],
    notes: list[str],
    label: str | None,
    feature_names: list[str] | None,
) -> Splits:
    train, validation, test = parts
    summary = DataSummary(
        sha256=digest,
        train_rows=train.rows,
        validation_rows=validation.rows,
        test_rows=test.rows,
        split=kind,
        label=label,
        notes=notes,
    )
    return Splits(train, validation, test, summary, feature_names)
