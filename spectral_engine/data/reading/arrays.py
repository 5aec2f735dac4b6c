"""Arrays by name: which are inputs, which are labels, of which part; and which nobody reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.reading.npz import HEADER_FAULTS, read_npz
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
INPUT_NAMES = ("x", "X", "data", "inputs", "input", "features", "images")
LABEL_NAMES = (
    "y",
    "Y",
    "label",
    "labels",
    "target",
    "targets",
    "classes",
    "boxes",
    "texts",
    "text",
    "transcripts",
    "scores",
    "similarity",
)
PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "holdout": "test",
}
BEHIND = re.compile(rf"(?P<name>.+?)_?(?P<part>{'|'.join(PARTS)})$", re.IGNORECASE)
BEFORE = re.compile(rf"(?P<part>{'|'.join(PARTS)})_(?P<name>.+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Named:
    """Arrays of one part, by what they are; `written` says what each is called in the file."""

    arrays: dict[str, Array]
    written: dict[str, str]


def read_arrays(path: Path, kind: str) -> dict[str, Array]:
    """Return the arrays of an .npz file, or of an .npy file with the labels that lie beside it."""
    if kind == "npz":
        return read_npz(path)
    beside = path.with_name(path.name.replace("x", "y", 1))
    if beside == path or not beside.is_file():
        raise DatasetMismatch(
            "an .npy file holds one array: give an .npz file with x and y (numpy.savez), or lay the labels beside "
            "x.npy as y.npy",
            pointer="#/file",
        )
    return {"x": _one(path), "y": _one(beside)}


def _one(path: Path) -> Array:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, *HEADER_FAULTS) as error:
        raise DatasetMismatch(
            f"{path.name!r} is not a whole array of plain numbers: {error}", pointer="#/file"
        ) from error
    if not isinstance(found, np.ndarray) or found.dtype.names:
        raise DatasetMismatch(f"{path.name!r} is not one plain array", pointer="#/file")
    return found


def by_part(arrays: Mapping[str, Array], known: Sequence[str]) -> dict[str, Named]:
    """Return arrays by part, `""` for all rows: names as `x_train`, `X_valid` or `test_y` are taken apart.

    A name of `known`, an input or output of the model, is never taken apart.
    """
    found: dict[str, Named] = {}
    for written, array in arrays.items():
        name, part = (written, "") if written in known else _taken_apart(written)
        held = found.setdefault(part, Named({}, {}))
        if name in held.arrays:
            raise DatasetMismatch(
                f"arrays {held.written[name]!r} and {written!r} mean the same part: keep one",
                pointer=f"#/{written}",
            )
        held.arrays[name] = array
        held.written[name] = written
    if "train" not in found and any(found):
        return {"": _together(found)}
    return found


def _together(found: Mapping[str, Named]) -> Named:
    arrays = {named.written[n]: a for named in found.values() for n, a in named.arrays.items()}
    return Named(arrays, {name: name for name in arrays})


def _taken_apart(written: str) -> tuple[str, str]:
    for pattern in (BEHIND, BEFORE):
        if match := pattern.match(written):
            return match["name"].rstrip("_"), PARTS[match["part"].lower()]
    return written, ""


def label_name(named: Named, outputs: Sequence[str], asked: str | None) -> str | None:
    """Return which array holds the labels; raises DatasetMismatch where two may, or the asked one is missing."""
    if asked is not None:
        if asked not in named.arrays:
            raise DatasetMismatch(
                f"there is no array {asked!r}; the file holds {', '.join(sorted(named.written.values()))}",
                pointer="#/labels/array",
            )
        return asked
    if "y" in named.arrays:
        return "y"
    likely = [name for name in (*LABEL_NAMES, *outputs) if name in named.arrays]
    likely = list(dict.fromkeys(likely))
    if len(likely) > 1:
        raise DatasetMismatch(
            f"arrays {' and '.join(repr(named.written[name]) for name in likely)} may both be the labels: say which "
            "with labels.array",
            pointer="#/labels/array",
        )
    return likely[0] if likely else None
