"""Arrays by name: which are inputs, which are labels, of which part; and which nobody reads."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from spectral_engine.data.part_names import PARTS
from spectral_engine.data.reading.beside import labels_beside, parts_beside, read_array
from spectral_engine.data.reading.npz import read_npz
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
# Labels where there are none under a usual name, and no more than one of these has as many rows as the inputs.
LIKELY_NAMES = (
    "t", "masks", "segmentation", "segmentations", "segmentation_masks", "annotations", "ground_truth", "gt", "y_true",
    "output", "outputs", "outcome", "category", "species", "diagnosis",
)  # fmt: skip
MASKS = ("mask", "segmentation_mask")  # of pixels; of fewer axes it may say which steps are padding
BEHIND = re.compile(rf"(?P<name>.+?)_?(?P<part>{'|'.join(PARTS)})$", re.IGNORECASE)
BEFORE = re.compile(rf"(?P<part>{'|'.join(PARTS)})[_/](?P<name>.+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Named:
    """Arrays of one part, by what they are; `written` says what each is called in the file."""

    arrays: dict[str, Array]
    written: dict[str, str]


def read_arrays(path: Path, kind: str) -> dict[str, Array]:
    """Return the arrays of an .npz file, or of an .npy file with the labels that lie beside it."""
    if kind == "npz":
        return read_npz(path)
    beside = labels_beside(path)
    if beside is None:
        raise DatasetMismatch(
            "an .npy file holds one array: give an .npz file with x and y (numpy.savez), or lay the labels beside "
            "x.npy as y.npy, or beside images.npy as labels.npy",
            pointer="#/file",
        )
    arrays = {"x": read_array(path), "y": read_array(beside)}
    others = parts_beside(path, beside)
    if not others:
        return arrays
    arrays_by_part = {f"{name}_train": array for name, array in arrays.items()}
    for part, both in others.items():
        arrays_by_part |= {
            f"{name}_{part}": read_array(one) for name, one in zip("xy", both, strict=True)
        }
    return arrays_by_part


def by_part(
    arrays: Mapping[str, Array], known: Sequence[str], inputs: Sequence[str] = ()
) -> dict[str, Named]:
    """Return arrays by part, `""` for all rows: names as `x_train`, `X_valid` or `test_y` are taken apart.

    A name of `known`, an input or output of the model, is never taken apart. Beside `x_test`, `x` is that of training.
    """
    named_parts: dict[str, Named] = {}
    for written, array in arrays.items():
        name, part = (written, "") if written in known else _taken_apart(written)
        named = named_parts.setdefault(part, Named({}, {}))
        if name in named.arrays:
            raise DatasetMismatch(
                f"arrays {named.written[name]!r} and {written!r} mean the same part: keep one",
                pointer=f"#/{written}",
            )
        named.arrays[name] = array
        named.written[name] = written
    if "train" in named_parts or not any(named_parts):
        return named_parts
    if _is_rest(named_parts, {*inputs, *INPUT_NAMES}):
        named_parts["train"] = named_parts.pop("")
        return named_parts
    return {"": _together(named_parts)}


def _is_rest(named_parts: Mapping[str, Named], inputs: Collection[str]) -> bool:
    """Say whether what belongs to no part holds what each part does, an input among it: it is to train on."""
    if "" not in named_parts:
        return False
    rest = named_parts[""].arrays
    parts = [named.arrays for part, named in named_parts.items() if part]
    return all(part.keys() <= rest.keys() and part.keys() & inputs for part in parts)


def _together(parts: Mapping[str, Named]) -> Named:
    arrays = {named.written[n]: a for named in parts.values() for n, a in named.arrays.items()}
    return Named(arrays, {name: name for name in arrays})


def _taken_apart(written: str) -> tuple[str, str]:
    for pattern in (BEHIND, BEFORE):
        if match := pattern.match(written):
            return match["name"].rstrip("_/"), PARTS[match["part"].lower()]
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


def likely_label(named: Named, fed: Collection[str | None], rows: Collection[int]) -> str | None:
    """Return the one array with a name that labels may have and as many rows as the inputs; of several, none."""
    likely = [
        name
        for name, array in named.arrays.items()
        if name not in fed and array.ndim and len(array) in rows
        and (name.lower() in LIKELY_NAMES or (name.lower() in MASKS and array.ndim > 2))
    ]  # fmt: skip
    return likely[0] if len(likely) == 1 else None
