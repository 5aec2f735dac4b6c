"""`.npy` files, and the labels that lie beside a file of inputs in one of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.reading.npz import HEADER_FAULTS
from spectral_engine.errors import DatasetMismatch

USUAL = ("y", "Y", "labels", "label", "targets", "target")
BESIDE = {
    "x": USUAL,
    "images": ("labels", "masks", "targets", *USUAL),
    "image": ("label", "mask", "target", *USUAL),
    "data": ("labels", "targets", "label", "target", *USUAL),
    "features": ("labels", "targets", *USUAL),
    "inputs": ("targets", "labels", "outputs", *USUAL),
    "input": ("target", "label", "output", *USUAL),
    "samples": ("labels", "targets", *USUAL),
}
WORD = re.compile(rf"(?<![A-Za-z])({'|'.join(BESIDE)})(?![A-Za-z])", re.IGNORECASE)


def labels_beside(path: Path) -> Path | None:
    """Return the .npy file of labels beside one of inputs: `y.npy` beside `x.npy`, `labels.npy` beside `images.npy`."""
    for name in _names_of(path):
        beside = path.with_name(name)
        if beside != path and beside.is_file():
            return beside
    return None


def parts_beside(inputs: Path, labels: Path) -> dict[str, tuple[Path, Path]]:
    """Return inputs and labels of other parts, where these are of `train`: `x_test.npy` by `x_train.npy`."""
    if not all("train" in path.name for path in (inputs, labels)):
        return {}
    parts = {}
    for part, words in {"val": ("val", "valid", "validation", "dev"), "test": ("test",)}.items():
        for word in words:
            both = tuple(
                path.with_name(path.name.replace("train", word)) for path in (inputs, labels)
            )
            if all(path.is_file() for path in both):
                parts[part] = (both[0], both[1])
    return parts


def read_beside(path: Path) -> list[Path]:
    """Return the files that are read with an .npy file of inputs: its labels, and inputs and labels of other parts."""
    labels = labels_beside(path)
    if labels is None:
        return []
    parts = parts_beside(path, labels)
    return [labels, *(file for part in sorted(parts) for file in parts[part])]


def _names_of(path: Path) -> Iterator[str]:
    stem = path.name.removesuffix(path.suffix)
    for word in WORD.finditer(stem):
        for usual in BESIDE[word[0].lower()]:
            yield f"{stem[: word.start()]}{usual}{stem[word.end() :]}.npy"
    if path.suffix == ".npz":
        yield from (f"{ahead}{usual}.npy" for ahead in (f"{stem}_", "") for usual in USUAL)
    elif WORD.search(stem) is None and "x" in path.name:
        yield path.name.replace("x", "y", 1)


def read_array(path: Path) -> NDArray[Any]:
    """Return the array of an .npy file, which stays on disk; raises DatasetMismatch where it is no plain one."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, *HEADER_FAULTS) as error:
        raise DatasetMismatch(
            f"{path.name!r} is not a whole array of plain numbers: {error}", pointer="#/file"
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.names:
        raise DatasetMismatch(f"{path.name!r} is not one plain array", pointer="#/file")
    return array
