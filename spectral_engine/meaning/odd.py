"""One value more than the model has classes: the one that stands for none of them is found by leaving each out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.meaning.coding import are_whole
from spectral_engine.meaning.skill import MUCH_BETTER
from spectral_engine.meaning.trial import Trial

Array = NDArray[Any]


def odd_values(values: Array, classes: int) -> list[float]:
    """Return which of the label values [m], sorted, may stand for none of `classes` classes.

    Three grey values beside two classes, or class numbers with a stray. Consecutive numbers are classes, all of them.
    """
    if len(values) != classes + 1 or not are_whole(values) or _consecutive(values):
        return []
    if classes == 2:
        return [float(value) for value in values]
    for at in (0, len(values) - 1):
        rest = np.delete(values, at)
        if _consecutive(rest) and int(rest[0]) in {0, 1}:
            return [float(values[at])]
    return []


def _consecutive(values: Array) -> bool:
    return bool((np.diff(values.astype(np.int64)) == 1).all())


def standing_out(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial whose ignored value leaves the original knowing most; None where another comes near."""
    best = max(trials, key=lambda trial: trial.skill.value, default=None)
    if best is None:
        return None
    others = [trial for trial in trials if trial.meaning.ignore != best.meaning.ignore]
    near = any(best.skill.value - other.skill.value < MUCH_BETTER for other in others)
    return None if near else best
