"""Images to arrays: decoded by several threads, straight into the rows of one array for each part."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.allowance import most_allowed
from spectral_engine.data.images.container import Container
from spectral_engine.data.images.decode import CannotDecode, decode, refused
from spectral_engine.data.images.letterbox import Placement
from spectral_engine.data.images.names import SHOWN, pointer_to
from spectral_engine.data.images.plan import Plan, plan_for
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.scratch import mapped_array, refuse_full_disk
from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
IN_MEMORY_BYTES = 2**28  # of all parts together; more lies on disk
THREADS = min(4, os.cpu_count() or 1)
AT_ONCE = 256


def decoded(
    container: Container,
    names: Sequence[str],
    parts: Sequence[NDArray[np.int64]],
    spec: InputSpec,
    preprocessing: Preprocessing,
    notes: list[str],
    placed: dict[int, Placement] | None = None,
) -> list[Array]:
    """Return the images of each part [n, …], of which `parts` says the rows of `names`.

    In `placed` stands afterwards where the image of each row lies in what the model sees.

    Raises DatasetMismatch that names the images that cannot be used, and counts them.
    """
    with _quiet():
        plan = _plan(container, names, spec, preprocessing)
        mapped = _on_disk(plan, sum(len(rows) for rows in parts))
        work = _Work(container, names, plan, {} if placed is None else placed)
        arrays = [work.decode(rows, mapped=mapped) for rows in parts]
    work.refuse_bad()
    notes += [plan.describe(), *work.notes()]
    return arrays


class _Work:
    """Decodes, and counts what was done to how many images."""

    def __init__(
        self,
        container: Container,
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
        self._total += len(rows)
        with ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(rows), AT_ONCE):
                # In pieces: every row that waits in a pool takes a kilobyte.
                indices = range(start, min(start + AT_ONCE, len(rows)))
                for said in pool.map(lambda at: self._one(out, at, int(rows[at])), indices):
                    self._counts.update(said)
        return out

    def _one(self, out: Array, index: int, row: int) -> set[str]:
        said: set[str] = set()
        name = self._names[row]
        try:
            image = decode(_content(self._container, name), self._plan.channels, said.add)
            fitted = self._plan.fitted(image)
            self._placed[row] = self._plan.placed(image.size)
            if self._plan.preprocessing.letterbox is not None:
                said.add("resized with the aspect kept (bilinear), and borders around them")
            elif fitted.size != image.size and self._plan.stretched:
                said.add("resized to the model's height and width, whatever the aspect (bilinear)")
            out[index] = self._plan.row(fitted)
        except CannotDecode as why:
            self._bad.append((name, str(why)))
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


def _content(container: Container, name: str) -> bytes:
    try:
        return container.read(name)
    except DatasetMismatch as error:
        raise CannotDecode(error.detail.removeprefix(f"{name!r} ")) from error


def _plan(
    container: Container, names: Sequence[str], spec: InputSpec, preprocessing: Preprocessing
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


def _on_disk(plan: Plan, rows: int) -> bool:
    """Say whether arrays go on disk; raises DatasetMismatch where they are too large for it."""
    size = rows * int(np.prod(plan.row_shape, dtype=object)) * plan.spec.dtype.itemsize
    if size > (most := most_allowed()):
        raise DatasetMismatch(
            f"{rows:,} images of {list(plan.row_shape)} take {size:,} bytes; at most {most:,} are allowed",
            pointer="#/file",
        )
    if size <= IN_MEMORY_BYTES:
        return False
    refuse_full_disk(size, f"{rows:,} images of {list(plan.row_shape)}")
    return True


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
