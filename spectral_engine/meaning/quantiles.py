"""Several quantiles of one target: answers [n, …, q] beside labels [n, …], or beside labels of their own shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import InvalidRequest
from spectral_engine.meaning.coding import Coding, Numbers, is_numeric
from spectral_engine.meaning.layout import Layout, squeezed
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.probe import Output, Probe
from spectral_engine.meaning.skill import of_quantiles
from spectral_engine.meaning.trial import Trial

Array = NDArray[Any]


@dataclass(frozen=True)
class Repeated:
    """Labels [n, …] of which each is the target of `times` quantiles, which lie on the answers' last axis."""

    times: int

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return numbers [n, places…], each label as often as there are quantiles of it."""
        del field
        numbers = labels.astype(np.float32).reshape(len(labels), -1, 1)
        return np.repeat(numbers, self.times, axis=-1).reshape(len(labels), *places)


def quantile_trials(
    outputs: Sequence[Output], probe: Probe, labels: Array, quantiles: tuple[float, ...]
) -> list[Trial]:
    """Return how each output's columns go with these quantiles; `labels` are those of all parts.

    Raises InvalidRequest where no output has a column for each quantile and place of the labels.
    """
    trials = [*_tried(outputs, probe, labels, quantiles)] if is_numeric(labels) else []
    if trials:
        return trials
    answered = "; ".join(f"{o.name!r} answers {list(o.answers.shape[1:])} a row" for o in outputs)
    raise InvalidRequest(
        f"quantile lists {len(quantiles)}, and 'y' has {list(labels.shape[1:]) or 'one number'} a row: "
        f"an output [n, …, {len(quantiles)}] with a column for each is needed, and {answered}",
        pointer="#/recipe/quantile",
    )


def _tried(
    outputs: Sequence[Output], probe: Probe, labels: Array, quantiles: tuple[float, ...]
) -> Iterator[Trial]:
    assert probe.rows.labels is not None
    said = ", ".join(f"{quantile:g}" for quantile in quantiles)
    for output in outputs:
        shape = output.answers.shape[1:]
        coding = _coding(shape, labels.shape[1:], len(quantiles))
        if coding is None or len(output.answers) != probe.rows.rows:
            continue
        layout = Layout("numbers", shape)
        meaning = Meaning("regression", output.name, layout, coding, quantiles=quantiles)
        truth = meaning.labels(probe.rows.labels)
        skill = of_quantiles(meaning.answers(output.answers), truth, quantiles)
        reading = f"targets of the quantiles {said}, a column each"
        why = f"read as {reading}: the original {skill.said}"
        meaning = Meaning(
            "regression", output.name, layout, coding, quantiles=quantiles,
            reading=reading, why=(why,), original=skill.said,
        )  # fmt: skip
        yield Trial(meaning, skill, 1.0)


def _coding(answers: tuple[int, ...], labels: tuple[int, ...], quantiles: int) -> Coding | None:
    """Say how labels of a row belong to its answers, quantiles on the last axis; None where they do not."""
    if not answers or answers[-1] != quantiles:
        return None
    if squeezed(answers[:-1]) == squeezed(labels):
        return Repeated(quantiles)
    return Numbers() if squeezed(answers) == squeezed(labels) else None
