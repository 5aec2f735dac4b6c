"""Texts: labels as strings or numbers of characters, beside answers that CTC decodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch
from spectral_engine.meaning.layout import Layout

Array = NDArray[Any]
NOTHING = -1


@dataclass(frozen=True)
class TextAnswers(Layout):
    """Answers of a reader [n, steps, k], the classes last: one character or the blank for each step."""

    @property
    def places(self) -> tuple[int, ...]:
        """Texts have no places of their own."""
        return ()

    def canonical(self, answers: Array) -> Array:
        """Return answers [n, steps, k] as they are."""
        return answers

    def predicted(self, answers: Array) -> Array:
        """Return the strongest class of each step [n, steps]."""
        return np.asarray(answers.argmax(axis=-1))


@dataclass(frozen=True)
class Characters:
    """Labels that are texts [n]; `alphabet` has each class's character, and nothing for the blank."""

    alphabet: tuple[str, ...]

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return class numbers [n, longest], −1 behind the end."""
        del places
        classes = {text: position for position, text in enumerate(self.alphabet) if len(text) == 1}
        texts = [str(text) for text in labels.reshape(-1)]
        numbers = np.full((len(texts), max([1, *map(len, texts)])), NOTHING, np.int64)
        for row, text in enumerate(texts):
            for position, character in enumerate(text):
                if character not in classes:
                    raise DatasetMismatch(
                        f"{field!r} holds {character!r} in row {row} ({text!r}), which is no class of the model",
                        pointer=f"#/{field}/{row}",
                    )
                numbers[row, position] = classes[character]
        return numbers


@dataclass(frozen=True)
class Numbered:
    """Labels that are class numbers [n, longest]; what is the blank or no class fills the rows up."""

    classes: int
    blank: int

    def read(self, labels: Array, places: tuple[int, ...], field: str) -> Array:
        """Return class numbers [n, longest], −1 behind the end."""
        del places, field
        numbers = labels.astype(np.int64)
        is_text = (numbers >= 0) & (numbers < self.classes) & (numbers != self.blank)
        order = np.argsort(~is_text, axis=1, kind="stable")
        packed = np.take_along_axis(np.where(is_text, numbers, NOTHING), order, axis=1)
        return np.asarray(packed)
