"""One reading of the labels, tried on the original's answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spectral_engine.data.written import Written
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.skill import Skill
from spectral_engine.records.labels import LabelsOption


@dataclass(frozen=True)
class Told:
    """What is known of labels besides their values: by the user, by the file, and the names in the model."""

    option: LabelsOption
    written: Written
    in_model: Sequence[Sequence[str]]

    def names_of(self, count: int | None) -> tuple[str, ...] | None:
        """Return the model's own names for so many classes, where there are any."""
        return next((tuple(names) for names in self.in_model if len(names) == count), None)


@dataclass(frozen=True)
class Trial:
    """A reading with its coding, and what the original knows under it."""

    meaning: Meaning
    skill: Skill
    weight: float  # of the skill, against other readings
