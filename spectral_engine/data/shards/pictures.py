"""Samples that are images: which file of each is the image, and what it holds."""

from __future__ import annotations

import numpy as np

from spectral_engine.data.images.arrangement import Arrangement
from spectral_engine.data.images.names import pointer_to
from spectral_engine.data.sample_names import is_picture
from spectral_engine.data.shards.index import Samples, refuse_incomplete
from spectral_engine.data.shards.labels import labels_of
from spectral_engine.errors import DatasetMismatch

NO_LABELS = "the samples have no labels: a .cls, .json or .txt in each would give some"


class ShardImages:
    """The image of each sample, by its name. May be asked by several threads, for as long as the shards are there."""

    def __init__(self, samples: Samples, *, stays: bool) -> None:
        self.stays = stays
        self._samples = samples
        self._row_of = {name: row for row, name in enumerate(samples.names)}
        kinds = [kind for kind in samples.kinds if is_picture(kind)]
        self._kind = np.full(len(samples), -1)  # [samples]: which of the kinds
        for number, kind in enumerate(kinds):
            having = samples.having(kind)
            if len(twice := having[self._kind[having] >= 0]):
                name = samples.names[int(twice[0])]
                raise DatasetMismatch(
                    f"{name!r} has several images, {', '.join('.' + one for one in kinds)}: keep one in each sample",
                    pointer=pointer_to(name),
                )
            self._kind[having] = number
        self._kinds = kinds
        refuse_incomplete(samples, np.flatnonzero(self._kind >= 0), "image")

    def read(self, name: str) -> bytes:
        """Return what an image file holds; raises DatasetMismatch for one that is too large or cut short."""
        row = self._row_of[name]
        return self._samples.read(row, self._kinds[self._kind[row]])


def arrange_samples(samples: Samples, label: str | None) -> Arrangement:
    """Say of samples that are images which label and part each has; raises DatasetMismatch by sample."""
    notes: list[str] = [_counted(samples)]
    labels = labels_of(samples, label, notes)
    if labels is None:
        notes.append(NO_LABELS)
        return Arrangement(samples.names, None, samples.parts(), None, notes)
    column, values = labels
    if values.ndim == 1 and len(np.unique(values)) == 1:
        raise DatasetMismatch(
            f"all samples have the label {str(values[0])!r}: there is one class", pointer="#/label"
        )
    notes.append(f"labels are {column!r} of each sample")
    return Arrangement(samples.names, values, samples.parts(), column, notes)


def _counted(samples: Samples) -> str:
    return f"{len(samples):,} samples, one after another in {len(samples.shards):,} archives"
