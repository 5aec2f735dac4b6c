"""`load_splits`: a file, and what the model takes, to three checked parts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from spectral_engine.data.checks import check_finite, fit
from spectral_engine.data.labels import check_labels
from spectral_engine.data.npz import read_npz
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.spec import InputSpec
from spectral_engine.data.split import (
    TRAIN_SHARE,
    VALIDATION_SHARE,
    Split,
    Splits,
    random_parts,
)
from spectral_engine.data.table import read_table
from spectral_engine.errors import DatasetMismatch, InvalidRequest
from spectral_engine.report.schema import DataSummary

Array = NDArray[Any]
PARTS = ("train", "val", "test")
# Continuous targets are not spread by value; more classes than this are taken as such.
MOST_CLASSES_TO_SPREAD = 1000


def load_splits(
    source: str | Path,
    inputs: Sequence[InputSpec],
    *,
    seed: int,
    label: str | None = None,
    preprocessing: Preprocessing | dict[str, Any] | None = None,
) -> Splits:
    """Read .npz, .csv or .parquet; raises DatasetMismatch that names array, column or row."""
    path = Path(source)
    if not path.is_file():
        raise DatasetMismatch(f"there is no data file {path.name!r}", pointer="#/file")
    if path.stat().st_size == 0:
        raise DatasetMismatch("the data file is empty", pointer="#/file")
    prepare = _preprocessing(preprocessing)
    if is_table(path):
        return _from_table(path, inputs, seed, label, prepare)
    return _from_arrays(path, inputs, seed, prepare)


def is_table(path: Path) -> bool:
    """Say by name, and without a telling name by the first bytes, whether a file is a table."""
    if path.suffix.lower() in {".csv", ".parquet"}:
        return True
    if path.suffix.lower() == ".npz":
        return False
    with path.open("rb") as file:
        return file.read(2) != b"PK"


def _preprocessing(given: Preprocessing | dict[str, Any] | None) -> Preprocessing | None:
    if given is None or isinstance(given, Preprocessing):
        return given
    try:
        return Preprocessing.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(str(part) for part in first["loc"])
        raise InvalidRequest(first["msg"], pointer=f"#/preprocessing/{where}") from error


def _from_table(
    path: Path,
    inputs: Sequence[InputSpec],
    seed: int,
    label: str | None,
    prepare: Preprocessing | None,
) -> Splits:
    if len(inputs) != 1:
        raise DatasetMismatch(
            f"a table feeds one input, and the model has {len(inputs)}: give an .npz file",
            pointer="#/file",
        )
    table = read_table(path, label, inputs[0].row_elements)
    check_finite(table.features, "features", table.names)
    notes = [] if label or table.label is None else [f"column {table.label!r} taken as the label"]
    features = fit(table.features, inputs[0], "features", prepare, notes)
    found, classes = (None, None)
    if table.labels is not None:
        found = check_labels(table.labels, table.label or "label")
    whole = Split({inputs[0].name: features}, found)
    parts = _cut(whole, seed)
    return _splits(path, parts, "random", notes, table.label, table.names, classes)


def _from_arrays(
    path: Path,
    inputs: Sequence[InputSpec],
    seed: int,
    prepare: Preprocessing | None,
) -> Splits:
    arrays = read_npz(path)
    notes: list[str] = []
    given = [part for part in PARTS if any(name.endswith(f"_{part}") for name in arrays)]
    suffixes = [f"_{part}" for part in given] if "train" in given else [""]
    raw = {suffix: _raw_labels(arrays, suffix) for suffix in suffixes}
    labels, classes = _labels(raw)
    found = {
        suffix: Split(_inputs(arrays, inputs, suffix, prepare, notes), labels[suffix])
        for suffix in suffixes
    }
    for suffix, split in found.items():
        _check_rows(split, suffix)
    parts = _given_parts(found, seed) if "train" in given else _cut(found[""], seed)
    kind: Literal["given", "random"] = "given" if "train" in given else "random"
    return _splits(path, parts, kind, notes, None, None, classes)


def _inputs(
    arrays: dict[str, Array],
    inputs: Sequence[InputSpec],
    suffix: str,
    prepare: Preprocessing | None,
    notes: list[str],
) -> dict[str, Array]:
    found = {}
    for spec in inputs:
        names = [f"{spec.name}{suffix}", *([f"x{suffix}"] if len(inputs) == 1 else [])]
        name = next((name for name in names if name in arrays), None)
        if name is None:
            raise DatasetMismatch(
                f"input {spec.name!r} needs an array {' or '.join(map(repr, dict.fromkeys(names)))}; "
                f"the file holds {', '.join(sorted(arrays)) or 'none'}",
                pointer=f"#/{names[0]}",
            )
        found[spec.name] = fit(arrays[name], spec, name, prepare, notes)
    return found


def _raw_labels(arrays: dict[str, Array], suffix: str) -> Array | None:
    return arrays.get(f"y{suffix}")


def _labels(
    raw: dict[str, Array | None],
) -> tuple[dict[str, Array | None], list[str] | None]:
    """Read the labels of all parts together, so that classes have one numbering."""
    missing = [suffix for suffix, labels in raw.items() if labels is None]
    if len(missing) == len(raw):
        return dict(raw), None
    if missing:
        raise DatasetMismatch(f"there is no array 'y{missing[0]}'", pointer=f"#/y{missing[0]}")
    present = {suffix: labels for suffix, labels in raw.items() if labels is not None}
    first = next(iter(present))
    for suffix, labels in present.items():
        if labels.ndim == 0 or labels.shape[1:] != present[first].shape[1:]:
            raise DatasetMismatch(
                f"'y{suffix}' has shape {list(labels.shape)}, 'y{first}' {list(present[first].shape)}",
                pointer=f"#/y{suffix}",
            )
    joined = check_labels(np.concatenate([*present.values()]), f"y{first}")
    ends = np.cumsum([len(labels) for labels in present.values()])[:-1]
    return dict(zip(present, np.split(joined, ends), strict=True)), None


def _check_rows(split: Split, suffix: str) -> None:
    counts = {name: len(array) for name, array in split.inputs.items()}
    if split.labels is not None:
        counts["y"] = len(split.labels)
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name}{suffix} has {count}" for name, count in counts.items())
        raise DatasetMismatch(f"the numbers of rows differ: {said}", pointer=f"#/y{suffix}")


def _given_parts(found: dict[str, Split], seed: int) -> list[Split]:
    """Use the parts that are there; what is missing is cut from the training rows."""
    train = found["_train"]
    validation, test = found.get("_val"), found.get("_test")
    if validation is None and test is None:
        return _cut(train, seed)
    if validation is not None and test is not None:
        return [train, validation, test]
    rows = random_parts(train.rows, _spread(train.labels), (1 - VALIDATION_SHARE,), seed)
    kept, cut = train.take(rows[0]), train.take(rows[1])
    return [kept, cut, test] if test is not None else [kept, validation or cut, cut]


def _cut(whole: Split, seed: int) -> list[Split]:
    shares = (TRAIN_SHARE, VALIDATION_SHARE)
    parts = random_parts(whole.rows, _spread(whole.labels), shares, seed)
    return [whole.take(rows) for rows in parts]


def _spread(labels: Array | None) -> Array | None:
    """Return labels by which parts are balanced: classes, not targets."""
    if labels is None or labels.ndim > 1 or labels.dtype.kind == "f":
        return None
    return labels if len(np.unique(labels)) <= MOST_CLASSES_TO_SPREAD else None


def _splits(
    path: Path,
    parts: list[Split],
    kind: Literal["given", "random"],
    notes: list[str],
    label: str | None,
    feature_names: list[str] | None,
    classes: list[str] | None,
) -> Splits:
    train, validation, test = parts
    summary = DataSummary(
        sha256=_digest(path),
        train_rows=train.rows,
        validation_rows=validation.rows,
        test_rows=test.rows,
        split=kind,
        label=label,
        classes=classes,
        notes=notes,
    )
    return Splits(train, validation, test, summary, feature_names, classes)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
