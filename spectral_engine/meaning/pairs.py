"""Pairs: rows 2i and 2i + 1 are embedded one by one, and their label says how alike both are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from spectral_engine.meaning.chance import skill_above_chance
from spectral_engine.meaning.coding import Numbers, is_numeric
from spectral_engine.meaning.layout import Layout
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.probe import Output, Probe
from spectral_engine.meaning.trial import Trial

Array = NDArray[Any]


@dataclass(frozen=True)
class PairAnswers(Layout):
    """Embeddings [n, d…] of rows that come in pairs."""

    @property
    def places(self) -> tuple[int, ...]:
        """A pair has one label."""
        return ()

    def canonical(self, answers: Array) -> Array:
        """Return both embeddings of each pair [n / 2, 2, d]."""
        return answers.reshape(len(answers) // 2, 2, -1)

    def predicted(self, answers: Array) -> Array:
        """Embeddings are no classes."""
        raise NotImplementedError


def pair_trials(outputs: Sequence[Output], probe: Probe, labels: Array) -> list[Trial]:
    """Return how each output's embeddings go with the labels of the pairs; none where labels are no numbers."""
    if labels.size != len(labels) or not is_numeric(labels):
        return []
    return [*_tried(outputs, probe)]


def _tried(outputs: Sequence[Output], probe: Probe) -> Iterator[Trial]:
    for output in outputs:
        shape = output.answers.shape
        if shape[0] != probe.rows.rows or len(shape) != 2 or shape[1] < 2:
            continue
        layout = PairAnswers("pairs", shape[1:])
        meaning = Meaning(
            "similarity",
            output.name,
            layout,
            Numbers(),
            reading="similarities of pairs, beside the cosine of both embeddings",
            why=("similarities judge by rank; the original's own embeddings are what is trained",),
        )
        assert probe.rows.labels is not None
        skill = skill_above_chance(meaning, output.answers, meaning.labels(probe.rows.labels))
        said = f"read as {meaning.reading}: the original reaches {skill.said}"
        yield Trial(replace(meaning, why=(said, *meaning.why), original=skill.said), skill, 1.0)
