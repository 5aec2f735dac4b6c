"""`read_images`: a folder or an archive, and what the model takes, to parts with images and labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spectral_engine.data.images.arrangement import Arrangement, arrange
from spectral_engine.data.images.container import opened
from spectral_engine.data.images.decoded import ImageFiles, decoded
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.spec import InputSpec
from spectral_engine.data.split import Split
from spectral_engine.errors import DatasetMismatch

ROW = "row"  # under which images stand until they are decoded
Divide = Callable[[dict[str, Split]], list[Split]]


@dataclass(frozen=True)
class Images:
    """Three parts of images, and how they were read."""

    parts: list[Split]
    given: bool  # the parts, by folders or a table
    column: str | None
    notes: list[str]
    preprocessing: Preprocessing  # with the scale that pixels have had


def read_images(
    path: Path,
    kind: str,
    inputs: Sequence[InputSpec],
    label: str | None,
    preprocessing: Preprocessing | None,
    divide: Divide,
) -> Images:
    """Read a `folder`, `zip` or `tar`; `divide` makes three parts of those that are given.

    Raises DatasetMismatch that names file and row, InvalidRequest that names the field of the preprocessing.
    """
    _refuse_several(inputs)
    with opened(path, kind) as container:
        arrangement = arrange(container, label)
        return read_arranged(container, arrangement, inputs, preprocessing, divide)


def read_arranged(
    container: ImageFiles,
    arrangement: Arrangement,
    inputs: Sequence[InputSpec],
    preprocessing: Preprocessing | None,
    divide: Divide,
) -> Images:
    """Return the images of an arrangement, in three parts that `divide` makes of those that are given.

    Rows are divided first and decoded then, so that every part goes straight into its own array. Raises
    DatasetMismatch that names file and row, InvalidRequest that names the field of the preprocessing.
    """
    _refuse_several(inputs)
    rows = {part: arrangement.of_part(part) for part in dict.fromkeys(arrangement.parts)}
    labels = arrangement.labels
    cut = divide(
        {
            part: Split({ROW: at}, None if labels is None else labels[at])
            for part, at in rows.items()
        }
    )
    notes = [*arrangement.notes]
    row_numbers = [part.arrays[ROW] for part in cut]
    done = preprocessing or Preprocessing()
    sources = decoded(container, arrangement.names, row_numbers, inputs[0], done, notes)
    parts = [
        Split({inputs[0].name: source}, part.labels)
        for source, part in zip(sources, cut, strict=True)
    ]
    return Images(parts, "train" in rows, arrangement.column, notes, done.for_pixels())


def _refuse_several(inputs: Sequence[InputSpec]) -> None:
    if len(inputs) != 1:
        raise DatasetMismatch(
            f"images feed one input, and the model has {len(inputs)}: give an .npz file",
            pointer="#/file",
        )
