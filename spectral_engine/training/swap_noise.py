"""How much noise on the inputs a model can learn from: asked of the original itself.

Where inputs say the same thing many times over (pixels, many columns), the original hardly notices that some are
another row's; where each one counts, a few turn its answer, and training on such rows would teach wrong ones. So the
share is the largest that changes the original's answers on no more rows than a part of those on which it errs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data import Split, Splits
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.training.swaps import can_swap, swap

TOLERATED = 0.2  # changed answers ÷ wrong answers
ROWS = 1000  # of a kind that are asked, at most
SHARES = (0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.13, 0.16, 0.2)


def calibrate_swap_noise(
    original: OpenedModel, meaning: Meaning, splits: Splits, seed: int
) -> float:
    """Return the share of float inputs to swap while training; 0 where there are no labels, or no error to spare.

    Wrong answers are counted on validation rows, changed ones on training rows: on those that will be swapped. An
    answer is wrong, or changed, by its class; in a regression by its squared distance over the variance.
    """
    seen, unseen = splits.train.first(ROWS), splits.validation.first(ROWS)
    if seen.labels is None or unseen.labels is None or meaning.kind == "texts":
        return 0.0
    if not can_swap(seen.arrays):
        return 0.0
    runner = original.runner

    def answers(rows: Split) -> NDArray[Any]:
        return meaning.as_labels(meaning.raw(runner.predict_all(rows, outputs=meaning.outputs)))

    most = TOLERATED * distance(meaning, answers(unseen), unseen.labels)
    now = answers(seen)

    def bears(share: float) -> bool:
        noisy = replace(seen, inputs=swap(seen.arrays, share, np.random.default_rng(seed)))
        return distance(meaning, answers(noisy), now) <= most

    low, high = 0, len(SHARES)  # what is below `low` can be borne, what is from `high` on cannot
    while low < high:
        middle = (low + high) // 2
        if bears(SHARES[middle]):
            low = middle + 1
        else:
            high = middle
    return SHARES[low - 1] if low else 0.0


def distance(meaning: Meaning, answers: NDArray[Any], truth: NDArray[Any]) -> float:
    """Return the share of wrong answers, both as labels; of numbers the squared error over the truth's variance."""
    if meaning.kind != "numbers":
        return float((answers != truth)[truth >= 0].mean())
    truth = truth.astype(np.float64)
    return float(((answers - truth) ** 2).mean() / max(truth.var(), np.finfo(np.float64).tiny))
