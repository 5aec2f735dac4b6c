"""Images as arrays under the names that an .npz file would have, decoded into files rather than memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.images.archive import Files, opened
from spectral_engine.data.images.decode import MODES, Decoder, Pixels
from spectral_engine.data.images.listing import Listed, list_images
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
MOST_BYTES = 16 * 2**30  # of all images as the model takes them
BYTE = 1 / 255


def images_as_arrays(
    path: Path,
    inputs: Sequence[InputSpec],
    folder: Path,
    *,
    label: str | None,
    preprocessing: Preprocessing | None,
    notes: list[str],
) -> tuple[dict[str, Array], Preprocessing]:
    """Return `x` and `y`, or `x_train`, `y_train` and so on, and what is left to be done to the pixels.

    Pixels are uint8 [rows, height, width, channels], mapped from files in `folder`. Raises DatasetMismatch by file.
    """
    spec = _only_input(inputs)
    first, size, channels = image_shape(spec)
    asked = preprocessing or Preprocessing()
    decoder = Decoder(channels, size, asked)
    with opened(path) as files:
        listed = list_images(files, label, notes)
        _refuse_many(sum(len(part.names) for part in listed.values()), size, channels, spec)
        arrays: dict[str, Array] = {}
        for part, rows in listed.items():
            suffix = f"_{part}" if part else ""
            arrays[f"x{suffix}"] = _decoded(files, rows, decoder, folder / f"x{suffix}.npy")
            if rows.labels is not None:
                arrays[f"y{suffix}"] = rows.labels
    _tell(decoder, notes)
    return arrays, _left_to_do(preprocessing, asked, first, spec, notes)


def image_shape(spec: InputSpec) -> tuple[bool, tuple[int, int] | None, int]:
    """Return whether channels come first, the size where it is fixed, and how many channels there are."""
    shape = spec.row_shape
    if len(shape) == 2:
        shape = (1, *shape)
    first = len(shape) == 3 and shape[0] in MODES
    if len(shape) != 3 or not (first or shape[2] in MODES):
        raise DatasetMismatch(
            f"input {spec.name!r} takes {spec.describe()}, which is no image of 1, 3 or 4 channels: give arrays",
            pointer="#/file",
        )
    channels, sides = (shape[0], shape[1:]) if first else (shape[2], shape[:2])
    assert channels is not None
    height, width = sides
    return first, None if height is None or width is None else (height, width), channels


def _only_input(inputs: Sequence[InputSpec]) -> InputSpec:
    if len(inputs) != 1:
        raise DatasetMismatch(
            f"images feed one input, and the model has {len(inputs)}: give an .npz file",
            pointer="#/file",
        )
    return inputs[0]


def _refuse_many(rows: int, size: tuple[int, int] | None, channels: int, spec: InputSpec) -> None:
    if size is None:
        return
    needed = rows * size[0] * size[1] * channels * spec.dtype.itemsize
    if needed > MOST_BYTES:
        raise DatasetMismatch(
            f"{rows:,} images would take {needed:,} bytes; at most {MOST_BYTES:,} are allowed",
            pointer="#/file",
        )


def _decoded(files: Files, rows: Listed, decoder: Decoder, place: Path) -> Array:
    """Decode all images of a part into one mapped array."""
    first: Pixels | None = None
    pixels: Array | None = None
    for index, name in enumerate(rows.names):
        image = decoder(name, files.read(name))
        if first is None or pixels is None:
            first = image
            shape = (len(rows.names), *image.shape)
            pixels = np.lib.format.open_memmap(place, "w+", np.uint8, shape)
        if image.shape != first.shape:
            raise DatasetMismatch(
                f"{name} has {image.shape[0]} × {image.shape[1]} pixels and {rows.names[0]} has "
                f"{first.shape[0]} × {first.shape[1]}, and the model takes any size: pass preprocessing "
                '{"resize": [height, width]}',
                pointer="#/preprocessing/resize",
            )
        pixels[index] = image
    assert pixels is not None  # a part has an image
    return pixels


def _tell(decoder: Decoder, notes: list[str]) -> None:
    notes += [
        f"{count:,} images converted from {change}" for change, count in decoder.converted.items()
    ]
    if decoder.resized and decoder.size is not None:
        height, width = decoder.size
        notes.append(
            f"{sum(decoder.resized.values()):,} images of other sizes scaled to {height} × {width}; "
            "preprocessing.resize and preprocessing.crop say otherwise"
        )


def _left_to_do(
    given: Preprocessing | None,
    asked: Preprocessing,
    first: bool,
    spec: InputSpec,
    notes: list[str],
) -> Preprocessing:
    """Return scale, mean and std, with the layout that the model takes; pixels become 0…1 where nothing is said."""
    said = set() if given is None else given.model_fields_set & {"scale", "mean", "std"}
    if not said and spec.dtype.kind == "f":
        notes.append("pixels taken as 0…1; preprocessing.scale, mean and std say otherwise")
        asked = asked.model_copy(update={"scale": BYTE})
    return asked.model_copy(update={"layout": "nchw" if first else "as_is"})
