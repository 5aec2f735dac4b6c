"""The area under the ROC curve, by Mann and Whitney's U."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from spectral_engine.measure.metrics.base import Form, MetricRule
from spectral_engine.measure.metrics.decisions import (
    IGNORED,
    counted_rows,
    over_classes,
    over_columns,
    truth_of,
)
from spectral_engine.measure.metrics.registry import register
from spectral_engine.measure.metrics.rows import Array, Floats, Rows, csr, flat
from spectral_engine.records.metrics import Metric

LEVELS = 1024  # that scores are told apart by, where a row has many
MOST_SORTED = 1_000_000  # scores that the levels are made from


@register
class Auc(MetricRule):
    """The area under the ROC curve; over classes the plain mean of one against the rest, by their probabilities.

    `positive` is 1, 0, or −1 for what does not count, and `score` what it is ranked by, both [rows, classes]. Where a
    row has several places, its scores are counted in 1,024 levels with as many entries each, which tie.
    """

    name: ClassVar[Metric] = "auc"

    def rows(self, answers: Array, labels: Array, form: Form) -> Rows:
        """Return scores and what is positive."""
        classes = over_classes(answers, labels, self.task)
        truth = truth_of(answers, labels, classes=classes)
        kept = counted_rows(truth)
        score, positive = answers[kept], truth[kept]
        if classes:
            score = _one_against_rest(score, form)
            each = np.arange(score.shape[-1]) if score.shape[-1] > 1 else np.array([1])
            positive = np.where(
                positive[..., None] == IGNORED, IGNORED, positive[..., None] == each
            )
        width = score.shape[-1] if classes else 1
        if over_columns(answers, labels, self.task):
            width = int(np.prod(score.shape[1:]))
        score, positive = (_by_class(part, width) for part in (score, positive))
        wrong_end = np.where(positive == 1, -np.inf, np.inf)
        score = np.where(np.isnan(score), wrong_end, score)  # what is no number orders nothing
        if score.shape[1] == 1 or not len(kept):
            score, positive = score[:, :1], positive[:, :1]
            values = {"score": score[:, 0].astype(np.float64), "positive": positive[:, 0]}
        else:
            values = {"levels": _levels(score, positive)}
        return Rows(values, len(truth) - len(kept))

    def values(self, rows: Rows, weights: Floats) -> Floats:
        """Return the mean over the classes that have both positives and negatives."""
        areas = np.stack(_areas(rows, weights))
        defined = ~np.isnan(areas)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(defined, areas, 0.0).sum(axis=0) / defined.sum(axis=0))

    def obstacle(self, rows: Rows) -> str | None:
        """Say so where no class has both positives and negatives."""
        if len(rows) and not np.isnan(self.value(rows)):
            return None
        return "auc: all labels are of one class, so that there are no pairs to order"

    def worst(self, before: Rows, after: Rows) -> tuple[Rows, Rows]:
        """Return a row of the rarest class: ranked best in everything before, and worst after."""
        if "levels" in before.values:
            return _worst_levels(before["levels"])
        positive = before["positive"]
        row = _rarest_row(positive)
        on = positive[row] == 1
        best = np.where(on, before["score"].max(axis=0), before["score"].min(axis=0))
        worst = np.where(on, after["score"].min(axis=0), after["score"].max(axis=0))
        return (
            Rows({"score": best, "positive": positive[row]}),
            Rows({"score": worst, "positive": positive[row]}),
        )


def _by_class(array: Array, width: int) -> Array:
    """Return [rows, places, classes]."""
    entries = flat(array)
    return entries.reshape(len(array), entries.shape[1] // width, width)


def _levels(score: Array, positive: Array) -> Array:
    """Return how many negatives and positives of each row are on each level [rows, columns, 2, levels]."""
    counts = np.zeros((len(score), score.shape[2], 2, LEVELS), dtype=np.int32)
    for column in range(score.shape[2]):
        values = score[:, :, column]
        seen = values.ravel()[:: max(1, values.size // MOST_SORTED)]
        seen = seen[np.isfinite(seen)]
        edges = np.unique(np.quantile(seen, np.linspace(0, 1, LEVELS + 1)[1:-1]))
        level = np.searchsorted(edges, values, side="left")
        for kind in (0, 1):
            row, position = np.nonzero(positive[:, :, column] == kind)
            np.add.at(counts[:, column, kind], (row, level[row, position]), 1)
    return counts


def _worst_levels(levels: Array) -> tuple[Rows, Rows]:
    """Return the row with most positives: all ranked first before, and all last after."""
    counts = levels.sum(axis=-1)  # [rows, columns, 2]
    row = counts[int(counts[:, :, 1].sum(axis=1).argmax())][None]
    best, worst = (np.zeros((1, *levels.shape[1:]), dtype=levels.dtype) for _ in range(2))
    for kind in (0, 1):
        best[:, :, kind, -kind] = row[:, :, kind]
        worst[:, :, kind, kind - 1] = row[:, :, kind]
    return Rows({"levels": best}), Rows({"levels": worst})


def _one_against_rest(answers: Array, form: Form) -> Array:
    """Return what each class is ranked by [rows, places…, classes]; of two classes one difference says all."""
    scores = answers.astype(np.float64)
    if scores.shape[-1] == 2:
        return scores[..., 1:] - scores[..., :1]
    if form == "log_probabilities":
        return np.asarray(np.exp(scores))
    if form == "probabilities" or (form == "values" and np.allclose(scores.sum(axis=-1), 1.0)):
        return scores
    return np.asarray(softmax(scores, axis=-1))


def _rarest_row(positive: Array) -> NDArray[np.int64]:
    """Return a row [1] of what is rarest: the positives or the negatives of some column."""
    counts = np.stack([(positive == kind).sum(axis=0) for kind in (0, 1)]).astype(np.float64)
    counts[counts == 0] = np.inf
    kind, column = np.unravel_index(int(counts.argmin()), counts.shape)
    return np.flatnonzero(positive[:, column] == kind)[:1]


def _areas(rows: Rows, weights: Floats) -> list[Floats]:
    """Return the areas of every column, each [resamples]; NaN without both kinds."""
    if "levels" in rows.values:
        counts = [
            [level.T @ weights for level in column] for column in np.moveaxis(rows["levels"], 0, 2)
        ]
        return [
            _shares(on, np.cumsum(off, axis=0) - off / 2, off.sum(axis=0)) for off, on in counts
        ]
    areas = []
    for score, positive in zip(rows["score"].T, rows["positive"].T, strict=True):
        on, off = np.flatnonzero(positive == 1), np.flatnonzero(positive == 0)
        if len(on) > len(off):  # the fewer of both make the levels
            areas.append(_area(-score, off, on, weights))
        else:
            areas.append(_area(score, on, off, weights))
    return areas


def _area(score: Floats, on: NDArray[np.int64], off: NDArray[np.int64], weights: Floats) -> Floats:
    """Return the weighted share of pairs of rows `on` and `off` that are in order [resamples]; ties count half.

    Levels are the distinct scores of `on`. A row of `off` is below a level by half if it does not exceed it, and by
    the other half if it is less.
    """
    levels, level = np.unique(score[on], return_inverse=True)
    if not len(on) or not len(off):
        return np.full(weights.shape[1], np.nan)
    first, rows = len(levels) + 1, len(score)
    sides = [np.searchsorted(levels, score[off], side=side) for side in ("left", "right")]
    halves = (np.full(2 * len(off), 0.5), (np.concatenate(sides), np.tile(off, 2)))
    positives = csr((np.ones(len(on)), (level, on)), shape=(len(levels), rows)) @ weights
    counts = csr(halves, shape=(first, rows)) @ weights
    return _shares(positives, np.cumsum(counts, axis=0)[:-1], counts.sum(axis=0))


def _shares(on: Floats, below: Floats, off: Floats) -> Floats:
    """Return areas from counts on every level and below it [levels, resamples], and all there are [resamples]."""
    pairs = on.sum(axis=0) * off
    ordered = np.einsum("ij,ij->j", on, below)
    areas: Floats = np.divide(ordered, pairs, out=np.full_like(pairs, np.nan), where=pairs > 0)
    return areas
