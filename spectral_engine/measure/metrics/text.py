"""Character error rate of answers that CTC decodes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spectral_engine.measure.metrics.base import Form
from spectral_engine.measure.metrics.decisions import IGNORED, is_answers
from spectral_engine.measure.metrics.ratio import Ratio, ratio_rows
from spectral_engine.measure.metrics.registry import register
from spectral_engine.measure.metrics.rows import Array, Rows
from spectral_engine.records.metrics import Metric


def read_greedily(answers: Array, blank: int) -> list[list[int]]:
    """Return the text of every row as class indices: the strongest class of each step, repeats once, without blanks.

    Best-path decoding of Graves et al., *Connectionist temporal classification*, ICML 2006, section 3.2. Answers are
    [rows, steps, classes]; a blank of −1 is the last class.
    """
    best = answers.argmax(axis=-1)
    blank %= answers.shape[-1]
    starts = np.ones(best.shape, dtype=bool)
    starts[:, 1:] = best[:, 1:] != best[:, :-1]
    kept = starts & (best != blank)
    return [row[keep].tolist() for row, keep in zip(best, kept, strict=True)]


@register
class CharacterErrorRate(Ratio):
    """Insertions, deletions and substitutions of all rows, over the characters of all their texts; it can exceed 1."""

    name: ClassVar[Metric] = "cer"

    def rows(self, answers: Array, labels: Array, form: Form) -> Rows:
        """Return the edit distance as `sum`, and the length of the text as `weight`.

        Labels are [rows, longest] class indices, −1 behind the end; a row of −1 alone has no text and is dropped.
        """
        from rapidfuzz.distance import Levenshtein

        if is_answers(labels):
            texts, kept = read_greedily(labels, self.blank), np.arange(len(labels))
        else:
            texts = [row[row != IGNORED].tolist() for row in labels]
            kept = np.flatnonzero([bool(text) for text in texts])
        read = read_greedily(answers[kept], self.blank)
        wanted = [texts[row] for row in kept]
        distances = [Levenshtein.distance(*pair) for pair in zip(read, wanted, strict=True)]
        return ratio_rows(
            np.array(distances, dtype=np.float64),
            [len(text) for text in wanted],
            dropped=len(labels) - len(kept),
        )

    def places(self, answers: Array, labels: Array, form: Form) -> tuple[Array, NDArray[np.bool_]]:
        """Texts have no places of their own."""
        raise NotImplementedError

    def worst(self, before: Rows, after: Rows) -> tuple[Rows, Rows]:
        """Return the text on which most was lost; where nothing was, the longest, which is then not read at all."""
        lost = after["sum"] - before["sum"]
        if (lost > 0).any():
            row = np.array([int(lost.argmax())])
            return before.take(row), after.take(row)
        length = before["weight"].max(keepdims=True)
        return ratio_rows(np.zeros(1), length), ratio_rows(length, length)

    def obstacle(self, rows: Rows) -> str | None:
        """Say so where there is nothing to read."""
        return None if rows["weight"].sum() > 0 else "cer: no row has a text"
