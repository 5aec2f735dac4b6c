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

from spectral_engine.data.array_splits import Asked, splits_of_arrays
from spectral_engine.data.boxes import KnownBoxes
from spectral_engine.data.checks import check_finite, fit
from spectral_engine.data.digest import digest_of, joined_digest
from spectral_engine.data.dividing import divided
from spectral_engine.data.doubt import in_doubt
from spectral_engine.data.images.read import Images, read_arranged, read_images
from spectral_engine.data.labels import check_labels
from spectral_engine.data.placing import as_said
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.reading.arrays import read_arrays
from spectral_engine.data.reading.beside import labels_beside, read_beside
from spectral_engine.data.reading.box_archive import boxed_images, read_box_archive
from spectral_engine.data.reading.box_images import BoxedImages, read_boxed_images
from spectral_engine.data.reading.kind import kind_of
from spectral_engine.data.reading.samples import read_samples
from spectral_engine.data.reading.unpack import unpacked
from spectral_engine.data.sample_names import is_picture
from spectral_engine.data.shards.arrays import arrays_of
from spectral_engine.data.shards.index import samples_in
from spectral_engine.data.shards.pictures import ShardImages, arrange_samples
from spectral_engine.data.spec import InputSpec
from spectral_engine.data.split import Claim, Split, Splits
from spectral_engine.data.summary import summed_up
from spectral_engine.data.written import Written
from spectral_engine.errors import DatasetMismatch, InvalidRequest
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

    `label` names the label column of a table, `array`, or else `label`, the label array of an .npz file; `outputs` are
    the names of the model's outputs, after which labels may be called. `rows_axis` says where inputs and their arrays
    have their rows. Where rows are cut here, as many are held out as `claim` needs.
    """
    inputs = as_said(inputs, rows_axis)
    path = Path(source)
    if not str(source) or not path.exists():  # the path of no name is the working folder
        raise DatasetMismatch(f"there is no data file {path.name!r}", pointer="#/file")
    if path.is_file() and path.stat().st_size == 0:
        raise DatasetMismatch("the data file is empty", pointer="#/file")
    prepare = _preprocessing(preprocessing)
    digest = digest_of(path)
    with unpacked(path) as plain:
        kind = kind_of(plain)
        if kind in {"folder", "zip", "tar"}:
            return _from_images(plain, kind, digest, inputs, seed, label, prepare, claim)
        if kind == "shards":
            asked = Asked(seed, prepare, array, outputs, claim)
            return _from_shards(plain, digest, inputs, label, asked, stays=plain == path)
        if kind == "boxes":
            return _from_boxes(plain, digest, inputs, seed, prepare)
        if prepare is not None:
            prepare.refuse_for_numbers()
        if kind == "samples":
            asked = Asked(seed, None, array or label, outputs, claim, in_each=True)
            return _from_samples(plain, digest, inputs, asked)
        if kind in {"npz", "npy"}:
            arrays = read_arrays(plain, kind)
            if kind == "npy":
                digest = joined_digest(digest, read_beside(plain))
            beside = labels_beside(plain) if kind == "npz" and plain == path else None
            asked = Asked(seed, prepare, array or label, outputs, claim, beside)
            splits = splits_of_arrays(arrays, digest, inputs, asked)
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
    images = read_images(path, kind, inputs, label, prepare, cut)
    return _of_images(images, digest, notes)


def _from_shards(
    path: Path,
    digest: str,
    inputs: Sequence[InputSpec],
    label: str | None,
    asked: Asked,
    *,
    stays: bool,
) -> Splits:
    samples, notes = samples_in(path), list[str]()
    if any(map(is_picture, samples.kinds)):
        cut = partial(divided, seed=asked.seed, claim=asked.claim, notes=notes)
        files, arrangement = ShardImages(samples, stays=stays), arrange_samples(samples, label)
        images = read_arranged(files, arrangement, inputs, asked.preprocessing, cut)
        return _of_images(images, digest, notes)
    arrays = arrays_of(samples, label, notes)
    splits = splits_of_arrays(arrays, digest, inputs, asked)
    summary = splits.summary.model_copy(update={"notes": [*notes, *splits.summary.notes]})
    return replace(splits, summary=summary, preprocessing=asked.preprocessing)


def _of_images(images: Images, digest: str, notes: list[str]) -> Splits:
    split: Literal["given", "random"] = "given" if images.given else "random"
    splits = summed_up(digest, images.parts, split, [*images.notes, *notes], images.column, None)
    return replace(splits, preprocessing=images.preprocessing)


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
    archive = read_box_archive(path)
    splits = splits_of_arrays(archive.arrays, digest, inputs, Asked(seed, prepare, "y"))
    notes = [*archive.notes, *splits.summary.notes]
    summary = splits.summary.model_copy(update={"notes": notes})
    written = _written(archive.boxes)
    return replace(splits, summary=summary, written=written, preprocessing=prepare)


def _from_samples(path: Path, digest: str, inputs: Sequence[InputSpec], asked: Asked) -> Splits:
    samples = read_samples(path, inputs)
    splits = splits_of_arrays(samples.arrays, digest, inputs, asked)
    notes = [*samples.notes, *splits.summary.notes]
    return replace(splits, summary=splits.summary.model_copy(update={"notes": notes}))


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
    decoded = read_boxed_images(path, images, inputs, prepare, cut)
    split: Literal["given", "random"] = "given" if decoded.given else "random"
    splits = summed_up(digest, decoded.parts, split, [*decoded.notes, *notes], None, None)
    written = _written(images.known)
    return replace(splits, written=written, preprocessing=decoded.preprocessing)


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
    # pyarrow starts a thread where it is imported, and is needed for tables alone.
    from spectral_engine.data.reading.table import read_table

    table = read_table(path, label, inputs[0].row_elements, inputs[0].name)
    notes = [*table.notes]
    with in_doubt(table.doubt):
        check_finite(table.features, "features", table.names, may_lack=inputs[0].fills_in)
        features = fit(table.features, inputs[0], "features", prepare, notes)
        labels = None
        if table.labels is not None:
            labels = check_labels(table.labels, table.label or "label")
    whole = Split({inputs[0].name: features}, labels)
    said = np.asarray(table.parts or [""] * whole.rows)
    present = [part for part in ("", "train", "val", "test") if (said == part).any()]
    given = present != [""]
    rows = (
        {part: whole.take(np.flatnonzero(said == part)) for part in present}
        if given
        else {"": whole}
    )
    parts = divided(rows, seed, claim, notes)
    kind: Literal["given", "random"] = "given" if given else "random"
    splits = summed_up(digest, parts, kind, notes, table.label, table.names)
    return replace(
        splits,
        doubt=table.doubt,
        given=tuple(present) if given else (),
        choices=table.choices,
    )
