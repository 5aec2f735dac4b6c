"""Three blunt looks at a candidate's answers beside the original's: a net below every claim that a target is met.

A metric can be kept by a model that has stopped working: by one answer to every row where a class is common, by any
answer where the metric hardly moves. Looked at are the agreement of both (Cohen's kappa of classes, r2 of numbers), the
spread of the answers over rows, and the share of outputs that no longer vary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.meaning.chance import judge_of
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.skill import of_classes, of_columns, of_numbers

Array = NDArray[Any]
LEAST_AGREEMENT = 0.2  # kappa or r2: what is left of the original below it is not the same model
LEAST_SPREAD = 0.02  # of the original's standard deviation over rows
MOST_CONSTANT = 0.5  # of the outputs that vary in the original
STILL = 1e-6  # of the original's spread: an output that varies less does not vary


def contradiction(
    meaning: Meaning,
    original: Array,
    candidate: Array,
    *,
    same_task: bool,
    least: float = LEAST_AGREEMENT,
) -> str | None:
    """Return why these raw answers to the same rows do not belong to a compressed copy of the original, or None.

    `same_task` says whether the candidate should answer as the original does: not where that knew nothing, or where
    the candidate has learned to know more. It then agrees by `least` at the least.
    """
    before, after = (_flat(meaning.comparable(outputs)) for outputs in (original, candidate))
    if not np.isfinite(after).all():
        return "some of its answers are not numbers"
    return (
        _constant(before, after)
        or _collapsed(before, after)
        or (_disagreeing(meaning, original, candidate, least) if same_task else None)
    )


def _flat(answers: Array) -> NDArray[np.float64]:
    return answers.reshape(len(answers), -1).astype(np.float64)  # [rows, outputs]


def _constant(before: Array, after: Array) -> str | None:
    spread = before.std(axis=0)
    varying = spread > STILL * max(float(np.abs(before).max()), 1e-30)
    if not varying.any():
        return None
    still = (after.std(axis=0) <= STILL * spread)[varying]
    if float(still.mean()) <= MOST_CONSTANT:
        return None
    return f"{still.sum():,} of {varying.sum():,} outputs give the same answer to every row"


def _collapsed(before: Array, after: Array) -> str | None:
    ratio = float(after.std(axis=0).sum() / max(float(before.std(axis=0).sum()), 1e-30))
    if ratio >= LEAST_SPREAD:
        return None
    return f"its answers vary {ratio:.1%} as much as the original's from row to row"


def _disagreeing(meaning: Meaning, original: Array, candidate: Array, least: float) -> str | None:
    if meaning.kind in {"boxes", "texts"}:
        return _differing(meaning, original, candidate)
    if meaning.kind == "pairs":
        skill, word = of_numbers(candidate, original), "r2"
    elif meaning.task == "multilabel":
        columns = (meaning.as_labels(candidate), meaning.as_labels(original))
        skill, word = of_columns(*columns), "Cohen's kappa, on average over columns,"
    elif meaning.kind == "numbers":
        skill, word = of_numbers(meaning.answers(candidate), meaning.answers(original)), "r2"
    else:
        skill = of_classes(meaning.as_labels(candidate), meaning.as_labels(original))
        word = "Cohen's kappa"
    if skill.value >= least or _says_one_thing(meaning, original):
        return None
    return f"its answers agree with the original's by {word} {skill.value:.2f} only"


def _differing(meaning: Meaning, original: Array, candidate: Array) -> str | None:
    """Look at the candidate's boxes or texts as if the original's were the truth."""
    rule = judge_of(meaning)
    rows = rule.rows(meaning.answers(candidate), meaning.answers(original), meaning.layout.form)
    value = rule.value(rows) if len(rows) and rule.obstacle(rows) is None else float("nan")
    alike = value if rule.higher_is_better else 1 - value
    if np.isnan(alike) or alike >= LEAST_AGREEMENT:
        return None
    return f"its answers agree with the original's by {rule.name} {value:.2f} only"


def _says_one_thing(meaning: Meaning, original: Array) -> bool:
    """Say whether the original gives all rows the same class, so that there is no agreement above chance."""
    return (
        meaning.kind in {"classes", "scores"} and len(np.unique(meaning.as_labels(original))) == 1
    )
