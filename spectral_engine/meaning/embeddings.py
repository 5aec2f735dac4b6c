"""Signs that a row's answers are an embedding: a direction, of which only similarities to other rows mean something."""

from __future__ import annotations

import numpy as np

from spectral_engine.meaning.layout import Array, squeezed
from spectral_engine.meaning.probe import Output
from spectral_engine.meaning.words import EMBEDDING_WORDS, called

MANY = 8  # columns: fewer of unit length may be an angle, a normal or a rotation
UNIT = 5e-3  # how far from 1 the length may be: float16 resolves 1e-3


def why_embedding(output: Output) -> str | None:
    """Say why one vector a row is an embedding, by the output's name, the rows' length, or what ends the graph.

    None where nothing speaks for it.
    """
    shape = squeezed(output.answers.shape[1:])
    if len(shape) != 1:
        return None
    if called(output.name, EMBEDDING_WORDS):
        return f"the output is called {output.name!r}"
    if shape[0] < MANY:
        return None
    if output.normalised_by is not None:
        return f"a {output.normalised_by} gives every row the same length"
    return "every row has the length 1" if _unit_rows(output.answers) else None


def _unit_rows(answers: Array) -> bool:
    rows = answers.reshape(len(answers), -1).astype(np.float64)
    return bool((np.abs(np.linalg.norm(rows, axis=1) - 1) < UNIT).all())
