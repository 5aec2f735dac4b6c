"""How much the original knows under one reading of the labels, beside what chance would give.

Classes: Cohen's kappa (Educ. Psychol. Meas. 20, 1960), the share of right answers above what the two distributions of
answers and labels would give without any relation, so that neither a common class nor a constant answer counts as
knowledge. Numbers: r2 over all entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]
NORMAL_99 = (
    2.326  # one-sided: a job is not stopped for a mere lack of rows, nor let through by luck
)
MUCH_BETTER = 0.1  # of skill: so much more under one reading than under another is no accident


@dataclass(frozen=True)
class Skill:
    """`value` is 0 at chance and 1 where all is right; `low` is its lower bound, one-sided at 99 %."""

    value: float
    low: float
    said: str

    @property
    def beats_chance(self) -> bool:
        """True where the rows show that the original knows something of these labels."""
        return self.low > 0


NOTHING = Skill(0.0, 0.0, "nothing")


def of_classes(predicted: Array, labels: Array, *, beyond_places: bool = False) -> Skill:
    """Return the skill of class numbers [n, places…] against labels; −1 is not counted.

    `beyond_places` takes for chance what the answers of other rows get right, where that is more: to know where things
    usually are is no knowledge of a row.
    """
    counted = labels >= 0
    if not counted.any():
        return NOTHING
    right = _row_shares(predicted == labels, counted)
    share = float((predicted == labels)[counted].mean())
    chance = _agreement_by_chance(predicted[counted], labels[counted])
    if beyond_places and labels.ndim > 1:
        others = np.roll(predicted, max(1, len(predicted) // 2), axis=0)
        chance = max(chance, float((others == labels)[counted].mean()))
    if chance >= 1:
        return Skill(0.0, 0.0, f"right on {share:.1%}, as any answer would be")
    error = NORMAL_99 * _standard_error(right)
    return Skill(
        (share - chance) / (1 - chance),
        (share - error - chance) / (1 - chance),
        f"right on {share:.1%}, chance {chance:.1%}",
    )


def of_columns(predicted: Array, labels: Array) -> Skill:
    """Return the mean skill over columns [n, columns] whose labels vary; −1 is not counted."""
    flat, truth = predicted.reshape(len(labels), -1), labels.reshape(len(labels), -1)
    known = truth >= 0
    varying = [at for at in range(truth.shape[1]) if len(np.unique(truth[known[:, at], at])) > 1]
    skills = [of_classes(flat[:, column], truth[:, column]) for column in varying]
    if not skills:
        return NOTHING
    value = float(np.mean([skill.value for skill in skills]))
    error = sqrt(sum((skill.value - skill.low) ** 2 for skill in skills)) / len(skills)
    share = float((flat == truth)[known].mean())
    return Skill(value, value - error, f"right on {share:.1%} of the entries")


def of_quantiles(answers: Array, targets: Array, quantiles: tuple[float, ...]) -> Skill:
    """Return by which share the pinball loss is below that of the targets' own quantiles, over all entries.

    Both are [n, …]; of several quantiles each place on the last axis has its own.
    """
    predicted = answers.reshape(len(answers), -1).astype(np.float64)
    truth = targets.reshape(len(targets), -1).astype(np.float64)
    wanted = np.resize(quantiles, truth.shape[1])  # of each column, over and over
    column_quantiles = [np.quantile(column, q) for column, q in zip(truth.T, wanted, strict=True)]
    constant = np.broadcast_to(np.array(column_quantiles), truth.shape)
    lost, had = (_pinball(part, truth, wanted) for part in (predicted, constant))  # [n]
    if had.sum() <= 0 or not np.isfinite(predicted).all():
        return NOTHING
    return _share_explained(lost, had, "of the quantile loss")


def _pinball(answers: Floats, targets: Floats, quantiles: Floats) -> Floats:
    off = targets - answers
    costs: Floats = np.maximum(quantiles * off, (quantiles - 1) * off).sum(axis=1)
    return costs


def _share_explained(lost: Floats, had: Floats, what: str) -> Skill:
    """Return 1 − Σ lost / Σ had with its bound: the standard error of linearised residuals (the delta method)."""
    ratio = float(lost.sum() / had.sum())
    error = NORMAL_99 * float(np.std(lost - ratio * had)) / (sqrt(len(lost)) * float(had.mean()))
    return Skill(1 - ratio, 1 - ratio - error, f"explains {1 - ratio:.1%} {what}")


def of_numbers(answers: Array, targets: Array) -> Skill:
    """Return r2 of numbers [n, d…], over the columns of d whose targets vary."""
    predicted = answers.reshape(len(answers), -1).astype(np.float64)
    truth = targets.reshape(len(targets), -1).astype(np.float64)
    centred = truth - truth.mean(axis=0)
    spread = float((centred**2).sum())
    if spread <= 0 or not np.isfinite(predicted).all():
        return NOTHING
    lost = ((predicted - truth) ** 2).sum(axis=1)  # [n]
    had = (centred**2).sum(axis=1)
    value = 1 - float(lost.sum()) / spread
    # Of a ratio of two means: the linearised residuals' standard error (the delta method).
    ratio = float(lost.sum()) / spread
    error = NORMAL_99 * float(np.std(lost - ratio * had)) / (sqrt(len(lost)) * float(had.mean()))
    return Skill(value, value - error, f"r2 {value:.3f}")


def _row_shares(right: Array, counted: Array) -> Floats:
    rows = right.reshape(len(right), -1) & counted.reshape(len(right), -1)
    counts = counted.reshape(len(right), -1).sum(axis=1)
    shares: Floats = rows.sum(axis=1)[counts > 0] / counts[counts > 0]
    return shares


def _standard_error(shares: Floats) -> float:
    """Return the mean's standard error, never below that of rows of which one more had been wrong (or right)."""
    rows = len(shares)
    mean = float(shares.mean())
    if ((shares == 0) | (shares == 1)).all():
        smoothed = (mean * rows + 1) / (rows + 2)
        return sqrt(smoothed * (1 - smoothed) / rows)
    return max(float(shares.std()), 1 / (2 * rows)) / sqrt(rows)


def _agreement_by_chance(predicted: Array, labels: Array) -> float:
    most = int(max(predicted.max(), labels.max())) + 1
    answered = np.bincount(predicted.reshape(-1), minlength=most) / predicted.size
    wanted = np.bincount(labels.reshape(-1), minlength=most) / labels.size
    return float(answered @ wanted)
