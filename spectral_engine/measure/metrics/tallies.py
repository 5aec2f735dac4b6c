"""Metrics from tallies by class: balanced accuracy, macro F1, mean IoU, Dice. They are not means over rows."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spectral_engine.measure.metrics.base import Form, MetricRule
from spectral_engine.measure.metrics.decisions import UNDECIDED, Decisions, decisions
from spectral_engine.measure.metrics.influence import most_lost
from spectral_engine.measure.metrics.registry import register
from spectral_engine.measure.metrics.rows import Array, Floats, Rows, csr, stacked
from spectral_engine.records.metrics import Metric

BLOCK = 4_000_000  # places that are counted together


@dataclass(frozen=True)
class Tally:
    """How often each class was right, answered and true [classes, resamples], and how many places counted.

    Where `columns` are labels of their own, a class is that such a label is on.
    """

    right: Floats
    answered: Floats
    true: Floats
    counted: Floats
    columns: bool


class Tallied(MetricRule):
    """A metric that is the mean, over classes, of a figure from its tallies."""

    @abstractmethod
    def figures(self, tally: Tally) -> Floats:
        """Return each class's figure [classes, resamples]; NaN where it is not defined."""

    def rows(self, answers: Array, labels: Array, form: Form) -> Rows:
        """Return tallies of every row; columns of several labels are classes of their own."""
        return tallies(decisions(answers, labels, self.task))

    def values(self, rows: Rows, weights: Floats) -> Floats:
        """Return the mean over the classes whose figure is defined."""
        figures = self.figures(_tally(rows, weights))
        defined = ~np.isnan(figures)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(defined, figures, 0.0).sum(axis=0) / defined.sum(axis=0))

    def by_class(self, rows: Rows) -> dict[int, float] | None:
        """Return the figure of each class that has one."""
        ones = np.ones((len(rows), 1))
        figures = self.figures(_tally(rows, ones))[:, 0]
        return {int(k): float(figures[k]) for k in np.flatnonzero(~np.isnan(figures))}

    def obstacle(self, rows: Rows) -> str | None:
        """Say so where all labels are of one class."""
        true, counted = (np.asarray(rows[name].sum(axis=0)) for name in ("true", "counted"))
        single = ((true == 0) | (true == counted)).all()
        alike = single if _columns(rows) else (true > 0).sum() < 2
        return f"{self.name}: all labels are of one class" if alike else None

    def worst(self, before: Rows, after: Rows) -> tuple[Rows, Rows]:
        """Return the row of most weight in its classes, all right before and all wrong after.

        Where rows have several places, it is the row on which most was lost, and that one only where none was.
        """
        true = before["true"]
        totals = np.asarray(true.sum(axis=0)).ravel()
        totals[totals == 0] = np.inf
        if not before.one_answer:
            lost = (before["right"] - after["right"]) @ (1 / totals)
            seen = most_lost(self, before, after, lost)
            if seen is not None:
                return before.take(seen), after.take(seen)
        row = np.array([int(np.argmax(true @ (1 / totals)))])
        label = before.take(row)
        of_labels = label["true"].toarray()
        lost = (
            label["counted"].toarray() - of_labels
            if _columns(before)
            else _misplaced(of_labels, totals)
        )
        return _row(label, of_labels, of_labels), _row(label, np.zeros_like(of_labels), lost)


def _misplaced(of_labels: Floats, totals: Floats) -> Floats:
    """Return answers [1, classes] that give every place to the commonest class that is not its own."""
    seen = np.where(np.isinf(totals), -1.0, totals)
    commonest, next_one = np.argsort(-seen, kind="stable")[[0, min(1, len(seen) - 1)]]
    lost = np.zeros_like(of_labels)
    lost[0, commonest] = of_labels.sum() - of_labels[0, commonest]
    lost[0, next_one] += of_labels[0, commonest]
    return lost


def _row(label: Rows, right: Floats, answered: Floats) -> Rows:
    values = dict(label.values)
    values["right"], values["answered"] = csr(right), csr(answered)
    return Rows(values, 0, label.one_answer, label.shared)


@register
class BalancedAccuracy(Tallied):
    """The mean recall of the classes that occur; of a label among many, of both its being on and its being off."""

    name: ClassVar[Metric] = "balanced_accuracy"

    def figures(self, tally: Tally) -> Floats:
        """Return recalls; for single labels the mean of recall and specificity."""
        recall = _share(tally.right, tally.true)
        if not tally.columns:
            return recall
        off = tally.counted - tally.true
        rejected = off - tally.answered + tally.right
        return np.asarray((recall + _share(rejected, off)) / 2)


@register
class MacroF1(Tallied):
    """The mean F1 of the classes that occur in labels or answers."""

    name: ClassVar[Metric] = "f1_macro"

    def figures(self, tally: Tally) -> Floats:
        """Return F1."""
        return _share(2 * tally.right, tally.answered + tally.true)


@register
class MeanIoU(Tallied):
    """The mean intersection over union of the classes that occur, pooled over all rows; the background is a class."""

    name: ClassVar[Metric] = "miou"

    def figures(self, tally: Tally) -> Floats:
        """Return intersections over unions."""
        return _share(tally.right, tally.answered + tally.true - tally.right)


@register
class Dice(MacroF1):
    """Dice's coefficient, pooled over all rows: of what is on where places are on or off, else the mean over classes.

    It is another name for F1, place by place.
    """

    name: ClassVar[Metric] = "dice"

    def rows(self, answers: Array, labels: Array, form: Form) -> Rows:
        """Take places that are on or off as one column, so that the background is no class."""
        decided = decisions(answers, labels, self.task)
        on_or_off = decided.classes == 2 and not decided.columns and answers.ndim == labels.ndim
        return tallies(decided, foreground=on_or_off)


def tallies(given: Decisions, *, foreground: bool = False) -> Rows:
    """Return, of every row and class, how many places are right, answered so, truly so, and counted."""
    per_block = max(1, BLOCK // max(1, given.truth.shape[1]))
    starts = range(0, max(1, len(given.truth)), per_block)
    blocks = [_block(given, slice(start, start + per_block), foreground) for start in starts]
    values = {name: csr(stacked([block[name] for block in blocks])) for name in blocks[0]}
    columns = given.columns or foreground
    return Rows(values, given.dropped, given.truth.shape[1] == 1, {"columns": columns})


def _block(given: Decisions, rows: slice, foreground: bool) -> dict[str, Any]:
    decided, truth, counted = given.decided[rows], given.truth[rows], given.counted[rows]
    if given.columns or foreground:
        on = {
            "right": counted & (decided == 1) & (truth == 1),
            "answered": counted & (decided == 1),
            "true": counted & (truth == 1),
            "counted": counted,
        }
        width = 1 if foreground else given.labels
        shape = (len(truth), width, truth.shape[1] // width)
        counts = {name: part.reshape(shape).sum(axis=2) for name, part in on.items()}
        return {name: csr(part.astype(np.float64)) for name, part in counts.items()}
    seen = {
        "right": _counts(truth, counted & (decided == truth), given.classes),
        "answered": _counts(decided, counted & (decided != UNDECIDED), given.classes),
        "true": _counts(truth, counted, given.classes),
    }
    return seen | {"counted": csr(counted.sum(axis=1, keepdims=True).astype(np.float64))}


def _counts(classes: NDArray[np.int64], counted: NDArray[np.bool_], width: int) -> Any:
    row, position = np.nonzero(counted)
    entries = (np.ones(len(row)), (row, classes[row, position]))
    return csr(entries, shape=(len(classes), width))


def _tally(rows: Rows, weights: Floats) -> Tally:
    sums = {name: np.asarray(value.T @ weights) for name, value in rows.values.items()}
    return Tally(**sums, columns=_columns(rows))


def _columns(rows: Rows) -> bool:
    return bool(rows.shared and rows.shared["columns"])


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
