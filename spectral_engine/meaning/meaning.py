"""What a data set means beside a model: built once, before anything trains, and asked by all that needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.split import Splits
from spectral_engine.meaning.coding import Coding, OneHot
from spectral_engine.meaning.layout import Layout
from spectral_engine.measure.boxes import Join
from spectral_engine.records.labels import Task
from spectral_engine.records.metrics import Metric

Array = NDArray[Any]
LABELS_FIELD = "y"


@dataclass(frozen=True)
class Meaning:
    """How labels and one output's answers go together, and why that was understood.

    Canonical answers and labels: classes [n, places…, k] with int64 [n, places…]; yes or no [n, places…], above 0 for
    yes, with 0 and 1; numbers [n, d…] with numbers; boxes [n, boxes, 6] with [n, boxes, 5]; texts [n, steps, k] with
    int64 [n, longest]; pairs [n / 2, 2, d] with numbers [n], those of a pair alike. A label of −1 is not counted.
    Without labels the original's own answers take their place.
    """

    task: Task
    output: str
    layout: Layout
    coding: Coding | None = None
    class_names: tuple[str, ...] | None = None  # in the order of the model's classes
    order: str | None = None  # how that order is known
    ignore: float | str | None = None
    reading: str = ""
    why: tuple[str, ...] = ()
    original: str | None = None  # what the original knows under this reading
    tried: tuple[
        tuple[str, str], ...
    ] = ()  # other readings that fit, with what the original knows under them
    quantiles: tuple[
        float, ...
    ] = ()  # of the targets that numbers aim at, where it is not their mean: one, or one for each on the last axis
    blank: int = 0  # of texts: the class that stands for no character
    metric: Metric | None = (
        None  # what fits these answers, where it is not the usual one of the kind
    )
    compared_as: Task | None = None  # what answers are to a metric, where no labels say it
    join: Join | None = None  # how several outputs make up the one that is judged
    beside: tuple[
        Meaning, ...
    ] = ()  # what the other outputs are, which are compared with the original's answers

    @property
    def labelled(self) -> bool:
        """True where there are labels that say what is right."""
        return self.coding is not None

    @property
    def leaves_out(self) -> bool:
        """True where some labels are not counted."""
        return self.ignore is not None or (
            isinstance(self.coding, OneHot) and self.coding.empty > 0
        )

    @property
    def kind(self) -> str:
        """What the answers are: classes, scores of yes or no, numbers, boxes, texts, or embeddings of pairs."""
        return self.layout.kind

    @property
    def learns_from_labels(self) -> bool:
        """True where labels enter the loss; boxes and similarities judge only, and the original teaches."""
        return self.labelled and self.kind not in {"boxes", "pairs"}

    @property
    def outputs(self) -> tuple[str, ...]:
        """The model's outputs that are judged: one, or those that are joined."""
        return (self.output,) if self.join is None else self.join.names

    def raw(self, outputs: Mapping[str, Array]) -> Array:
        """Return what is judged [n, …] of a model's outputs: one of them, or several joined."""
        if self.join is None:
            return outputs[self.output]
        joined: Array = self.join.of(outputs, np.concatenate)
        return joined

    def answers(self, outputs: Array) -> Array:
        """Return the answers of this output in canonical form."""
        return self.layout.canonical(outputs)

    def labels(self, raw: Array, field: str = LABELS_FIELD) -> Array:
        """Return the file's labels in canonical form; raises DatasetMismatch for one that is no class."""
        assert self.coding is not None
        return self.coding.read(raw, self.layout.places, field)

    def truth(self, labels: Array) -> Array:
        """Return canonical labels as a metric takes them: of pairs, which are two rows with one label, each once."""
        return labels[::2] if self.kind == "pairs" else labels

    def comparable(self, outputs: Array) -> Array:
        """Return answers [n, …] whose entries stand at the same place whatever the model answers."""
        return self.layout.comparable(outputs)

    def as_labels(self, outputs: Array) -> Array:
        """Return answers in the form that labels have: classes, yes or no, or the numbers themselves."""
        if self.layout.kind == "numbers":
            return self.answers(outputs)
        return self.layout.predicted(outputs)

    def relabelled(self, splits: Splits) -> Splits:
        """Return the three parts with labels in canonical form."""
        if not self.labelled:
            return splits.with_parts(*(replace(part, labels=None) for part in splits.parts))
        train, *judged = (replace(part, labels=self._read(part.labels)) for part in splits.parts)
        if not self.learns_from_labels:
            train = replace(train, labels=None)
        return splits.with_parts(train, *judged)

    def _read(self, raw: Array | None) -> Array:
        assert raw is not None
        return self.labels(raw)

    def counted(self, labels: Array) -> Array:
        """Say which rows have any label that counts [n]."""
        return np.asarray((labels.reshape(len(labels), -1) >= 0).any(axis=1))
