"""Images to arrays: decoded by several threads, straight into the rows of one array for each part."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.allowance import most_allowed
from spectral_engine.data.images.decode import CannotDecode, decode, refused
from spectral_engine.data.images.letterbox import Placement
from spectral_engine.data.images.names import SHOWN, pointer_to
from spectral_engine.data.images.on_demand import DecodedOnDemand
from spectral_engine.data.images.plan import Plan, plan_for
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.row_source import RowSource, by_index
from spectral_engine.data.scratch import mapped_array, refuse_full_disk
from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import DatasetMismatch
from spectral_engine.machine import free_disk_bytes

Array = NDArray[Any]
IN_MEMORY_BYTES = 2**28  # of all parts together; more lies on disk
THREADS = min(4, os.cpu_count() or 1)
AT_ONCE = 256


class ImageFiles(Protocol):
    """Image files by name."""

    @property
    def stays(self) -> bool:
        """Whether they can be read for as long as the job takes."""
        ...

    def read(self, name: str, /) -> bytes:
        """Return what a file holds, to several threads; raises DatasetMismatch."""
        ...


def decoded(
    container: ImageFiles,
    names: Sequence[str],
    parts: Sequence[NDArray[np.int64]],
    spec: InputSpec,
    preprocessing: Preprocessing,
    notes: list[str],
    placed: dict[int, Placement] | None = None,
) -> list[RowSource]:
    """Return the images of each part [n, …], of which `parts` says the rows of `names`.

    They are decoded once, or, where that takes more room than there is, looked at once and decoded as they are read.
    In `placed` stands afterwards where the image of each row lies in what the model sees.

    Raises DatasetMismatch that names the images that cannot be used, and counts them.
    """
    with _quiet():
        plan = _plan(container, names, spec, preprocessing)
        size = _bytes_of(plan, sum(len(rows) for rows in parts))
        work = _Work(container, names, plan, {} if placed is None else placed)
        sources = (
            [work.on_demand(rows) for rows in parts]
            if container.stays and _is_too_large(size)
            else _at_once(work, parts, size)
        )
    work.refuse_bad()
    notes += [plan.describe(), *work.notes()]
    return sources


class _Work:
    """Decodes, and counts what was done to how many images."""

    def __init__(
        self,
        container: ImageFiles,
        names: Sequence[str],
        plan: Plan,
        placed: dict[int, Placement],
    ) -> None:
        self._container, self._names, self._plan = container, names, plan
        self._placed = placed
        self._counts: Counter[str] = Counter()
        self._bad: list[tuple[str, str]] = []
        self._total = 0

    def decode(self, rows: NDArray[np.int64], *, mapped: bool) -> Array:
        """Return these images [n, …]."""
        out = _empty((len(rows), *self._plan.row_shape), self._plan.spec.dtype, mapped=mapped)
        self._look_at(rows, out)
        return out

    def on_demand(self, rows: NDArray[np.int64]) -> RowSource:
        """Look at these images, and return what decodes them again when they are asked for [n, …]."""
        self._look_at(rows, None)
        plan, container, names = self._plan, self._container, self._names

        def row_of(number: int) -> Array:
            try:
                return _decoded(container, names[number], plan, lambda _: None)[0]
            except CannotDecode as why:
                raise refused(names[number], str(why)) from why

        return DecodedOnDemand(rows, row_of, plan.row_shape, plan.spec.dtype, THREADS)

    def _look_at(self, rows: NDArray[np.int64], out: Array | None) -> None:
        self._total += len(rows)
        with ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(rows), AT_ONCE):
                # In pieces: every row that waits in a pool takes a kilobyte.
                indices = range(start, min(start + AT_ONCE, len(rows)))
                for said in pool.map(lambda at: self._one(out, at, int(rows[at])), indices):
                    self._counts.update(said)

    def _one(self, out: Array | None, index: int, row: int) -> set[str]:
        said: set[str] = set()
        name = self._names[row]
        try:
            decoded_row, size = _decoded(self._container, name, self._plan, said.add)
        except CannotDecode as why:
            self._bad.append((name, str(why)))
            return said
        self._placed[row] = self._plan.placed(size)
        if out is not None:
            out[index] = decoded_row
        return said

    def refuse_bad(self) -> None:
        """Raise DatasetMismatch where there are images that cannot be used."""
        if not self._bad:
            return
        bad = sorted(self._bad)
        more = f" ({len(bad):,} of {self._total:,} images cannot be used)"
        shown = "; ".join(f"{name}: {why}" for name, why in bad[:SHOWN])
        raise DatasetMismatch(shown + more, pointer=pointer_to(bad[0][0]))

    def notes(self) -> list[str]:
        """Return what was done to images, with how many."""
        return [
            f"{count:,} of {self._total:,} images: {what}"
            for what, count in sorted(self._counts.items())
        ]


def _decoded(
    container: ImageFiles, name: str, plan: Plan, say: Callable[[str], None]
) -> tuple[Array, tuple[int, int]]:
    """Return the row of an image, and the width and height that it had; raises CannotDecode."""
    image = decode(_content(container, name), plan.channels, say)
    fitted = plan.fitted(image)
    if plan.preprocessing.letterbox is not None:
        say("resized with the aspect kept (bilinear), and borders around them")
    elif fitted.size != image.size and plan.stretched:
        say("resized to the model's height and width, whatever the aspect (bilinear)")
    return plan.row(fitted), image.size


def _content(container: ImageFiles, name: str) -> bytes:
    try:
        return container.read(name)
    except DatasetMismatch as error:
        raise CannotDecode(error.detail.removeprefix(f"{name!r} ")) from error


def _plan(
    container: ImageFiles, names: Sequence[str], spec: InputSpec, preprocessing: Preprocessing
) -> Plan:
    """Lay out what becomes of all images by the first one that can be decoded."""
    first: DatasetMismatch | None = None
    for name in names:
        try:
            image = decode(_content(container, name), 3, lambda _: None)
        except CannotDecode as why:
            first = first or refused(name, str(why))
            continue
        return plan_for(spec, preprocessing, image)
    assert first is not None  # there are names
    raise DatasetMismatch(
        f"{first.detail} ({len(names):,} of {len(names):,} images cannot be used)",
        pointer=first.pointer,
    )


def _bytes_of(plan: Plan, rows: int) -> int:
    return rows * int(np.prod(plan.row_shape, dtype=object)) * plan.spec.dtype.itemsize


def _is_too_large(size: int) -> bool:
    """Say whether so many bytes of decoded images are not to be written to disk."""
    return size > most_allowed() or (size > IN_MEMORY_BYTES and size > free_disk_bytes())


def _at_once(work: _Work, parts: Sequence[NDArray[np.int64]], size: int) -> list[RowSource]:
    """Decode all images into arrays; raises DatasetMismatch where these are too large for the disk."""
    rows = sum(map(len, parts))
    if size > (most := most_allowed()):
        raise DatasetMismatch(
            f"{rows:,} images of an archive take {size:,} bytes; at most {most:,} are allowed: unpack it, "
            "and give the folder",
            pointer="#/file",
        )
    if size > IN_MEMORY_BYTES:
        refuse_full_disk(size, f"{rows:,} images")
    mapped = size > IN_MEMORY_BYTES
    return [by_index(work.decode(part, mapped=mapped)) for part in parts]


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any], *, mapped: bool) -> Array:
    if not mapped or 0 in shape:
        return np.zeros(shape, dtype)
    return mapped_array(shape, dtype)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings of odd files to ourselves: what matters is refused or noted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
