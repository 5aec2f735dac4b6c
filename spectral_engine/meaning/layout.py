"""Where one output's answers hold what: the axis of the classes, the places, the scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spectral_engine.measure.form import Form

Array = NDArray[Any]
Kind = Literal["classes", "scores", "numbers", "boxes", "texts", "pairs"]
CLASS_HEADS = {"Softmax", "LogSoftmax"}


@dataclass(frozen=True)
class Layout:
    """How the answers of one output, rows first, are turned into their canonical form.

    classes: [n, places…, k] with the classes last; scores: [n, places…], above 0 where the answer is "yes";
    numbers: [n, d…] as they are. Axes of size 1 among the places are dropped.
    """

    kind: Kind
    row_shape: tuple[int, ...]  # of one row's answers, as the model gives them
    class_axis: int | None = None  # counted with the rows' axis
    form: Form = "values"
    threshold: float = 0.0  # of a score that means yes

    @property
    def places(self) -> tuple[int, ...]:
        """The shape of what one row is asked: () for one answer a row, (steps,), (height, width), (columns,)."""
        sizes = [size for axis, size in enumerate(self.row_shape, 1) if axis != self.class_axis]
        kept = tuple(size for size in sizes if size != 1)
        return kept or ((1,) if self.kind == "numbers" else ())

    @property
    def classes(self) -> int:
        """How many classes the answers tell apart."""
        return 2 if self.class_axis is None else self.row_shape[self.class_axis - 1]

    def canonical(self, answers: Array) -> Array:
        """Return answers [n, …] in canonical form."""
        if self.class_axis is not None:
            turned = np.moveaxis(answers, self.class_axis, -1)
            return turned.reshape(len(answers), *self.places, answers.shape[self.class_axis])
        reshaped = answers.reshape(len(answers), *self.places)
        return (
            reshaped - np.asarray(self.threshold, reshaped.dtype)
            if self.kind == "scores"
            else reshaped
        )

    def comparable(self, answers: Array) -> Array:
        """Return answers [n, …] whose entries stand at the same place whatever the model answers."""
        return answers if self.kind in {"boxes", "texts", "pairs"} else self.canonical(answers)

    def predicted(self, answers: Array) -> Array:
        """Return the class of each place [n, places…], by its number."""
        canonical = self.canonical(answers)
        if self.kind == "classes":
            return np.asarray(canonical.argmax(axis=-1))
        return (canonical > 0).astype(np.int64)


def class_axes(row_shape: tuple[int, ...], places: tuple[int, ...] | None) -> list[int]:
    """Return the axes of the answers, counted with the rows' one, that may hold classes; the likeliest first.

    `places` is the shape of one row's labels, None where there are none. Behind the rows for tables [n, k] and images
    [n, k, h, w], last for sequences [n, steps, k].
    """
    count = len(row_shape)
    likely = count if count == 2 else 1
    order = sorted(range(1, count + 1), key=lambda axis: axis != likely)
    return [
        axis
        for axis in order
        if row_shape[axis - 1] > 1
        and (places is None or _without(row_shape, axis) == squeezed(places))
    ]


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without its sizes of 1."""
    return tuple(size for size in shape if size != 1)


def _without(row_shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return squeezed(row_shape[: axis - 1] + row_shape[axis:])


def form_of(answers: Array, axis: int | None, squashed_by: str | None) -> Form:
    """Say how scores are scaled: by the operator that ends the graph where it tells, else by their values."""
    if squashed_by == "LogSoftmax":
        return "log_probabilities"
    if squashed_by in {"Softmax", "Sigmoid"}:
        return "probabilities"
    values = np.asarray(answers, np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        logs = axis is not None and (values <= 0).all() and _sums_to_one(np.exp(values), axis)
        return "log_probabilities" if logs else "logits"
    return "probabilities" if axis is None or _sums_to_one(values, axis) else "logits"


def sum_to_one(answers: Array, axis: int, squashed_by: str | None) -> bool:
    """Say whether answers are shares of classes along an axis, or their logarithms."""
    return squashed_by in CLASS_HEADS or form_of(answers, axis, None) != "logits"


def _sums_to_one(values: Array, axis: int) -> bool:
    return bool(np.allclose(values.sum(axis=axis), 1.0, atol=1e-3))
