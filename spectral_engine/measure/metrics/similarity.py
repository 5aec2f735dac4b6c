"""Metrics of embeddings: against given similarities of pairs, and against the neighbours that the original sees."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch, InvalidRequest
from spectral_engine.measure.metrics.base import Form, MetricRule
from spectral_engine.measure.metrics.influence import most_lost
from spectral_engine.measure.metrics.registry import register
from spectral_engine.measure.metrics.rows import Array, Floats, Rows, csr, flat
from spectral_engine.records.metrics import Metric

MOST_ANCHORS = 128
ROWS_PER_ANCHOR = 4  # at least
LEAST_ANCHORS = 3  # two can only be in the same or in the other order
LEAST_ROWS = LEAST_ANCHORS * ROWS_PER_ANCHOR


@register
class Spearman(MetricRule):
    """Spearman's rank correlation of the cosine similarity of both embeddings of a pair with the given similarity."""

    name: ClassVar[Metric] = "spearman"

    def rows(self, answers: Array, labels: Array, form: Form) -> Rows:
        """Return `cosine` and `label` of every pair; answers are [pairs, 2, width]."""
        if answers.ndim != 3 or answers.shape[1] != 2 or labels.shape != answers.shape[:1]:
            raise DatasetMismatch(
                "spearman needs two embeddings and one similarity a row: answers have the shape "
                f"{list(answers.shape)}, and labels {list(labels.shape)}",
                pointer="#/y",
            )
        unit = _unit(answers.astype(np.float64))
        cosine = (unit[:, 0] * unit[:, 1]).sum(axis=-1)
        return Rows({"cosine": cosine, "label": labels.astype(np.float64)})

    def values(self, rows: Rows, weights: Floats) -> Floats:
        """Return the correlation of both rankings, ties sharing their mean rank; 0 of answers that are all alike."""
        cosine, label = (_midranks(rows[name], weights) for name in ("cosine", "label"))
        correlation = _correlation(cosine, label, weights)
        return np.where((label == label[0]).all(axis=0), np.nan, np.nan_to_num(correlation))

    def worst(self, before: Rows, after: Rows) -> tuple[Rows, Rows]:
        """Return the pair on which most was lost; where nothing was, the likest one, and then least similar."""
        from scipy.stats import rankdata

        label = rankdata(before["label"])
        off = [np.abs(rankdata(rows["cosine"]) - label) for rows in (before, after)]
        seen = most_lost(self, before, after, off[1] - off[0])
        if seen is not None:
            return before.take(seen), after.take(seen)
        most = before["label"].max(keepdims=True)
        best, least = before["cosine"].max(keepdims=True), after["cosine"].min(keepdims=True)
        return Rows({"cosine": best, "label": most}), Rows({"cosine": least, "label": most})

    def obstacle(self, rows: Rows) -> str | None:
        """Say so where all pairs are labelled alike."""
        label = rows["label"]
        alike = not len(rows) or (label == label[0]).all()
        return "spearman: all pairs have the same similarity" if alike else None


@register
class RankAgreement(MetricRule):
    """How alike two models order the neighbours of a row, without labels; the original's embeddings stand in for them.

    Every fourth row at most, and 128 at most, are anchors, evenly spread by position. For each other row both models
    rank the anchors by cosine similarity. With ρ Spearman's correlation of these two rankings, a row's share is
    (1 + ρ) / 2, and their mean is the metric: 1 for the same order everywhere, 0.5 for orders that have nothing in
    common, as of a model that answers the same to every row.
    """

    name: ClassVar[Metric] = "rank_agreement"
    against_original = True

    def rows(self, answers: Array, labels: Array, form: Form) -> Rows:
        """Return the `share` of every row that is no anchor; anchors count as dropped."""
        from scipy.stats import rankdata

        count = min(MOST_ANCHORS, len(labels) // ROWS_PER_ANCHOR)
        if count < LEAST_ANCHORS:
            raise InvalidRequest(
                f"rank_agreement needs {LEAST_ROWS} rows, and there are {len(labels)}",
                pointer="#/recipe/metric",
            )
        anchors = np.linspace(0, len(labels) - 1, count).round().astype(np.int64)
        others = np.setdiff1d(np.arange(len(labels)), anchors)
        mine, original = (_neighbours(part, anchors, others) for part in (answers, labels))
        mine, original = (rankdata(part, axis=1).T for part in (mine, original))
        correlation = _correlation(mine, original, np.ones((count, len(others))))
        share = (1 + np.nan_to_num(correlation)) / 2
        return Rows({"share": share}, dropped=count, shared={"anchors": count})

    def values(self, rows: Rows, weights: Floats) -> Floats:
        """Return mean shares."""
        return np.asarray((rows["share"] @ weights) / weights.sum(axis=0))

    def parts(self, rows: Rows) -> tuple[Floats, Floats] | None:
        """Return shares; every row weighs the same."""
        return rows["share"], np.ones(len(rows))

    def worst(self, before: Rows, after: Rows) -> tuple[Rows, Rows]:
        """Return the row on which the second loses most."""
        row = np.array([int(np.argmax(before["share"] - after["share"]))])
        return before.take(row), after.take(row)


def _neighbours(answers: Array, anchors: NDArray[np.int64], others: NDArray[np.int64]) -> Floats:
    """Return cosines [others, anchors], rounded so that ties are not told apart by the last bit."""
    unit = _unit(flat(answers).astype(np.float64))
    return np.asarray((unit[others] @ unit[anchors].T).round(9))


def _unit(vectors: Floats) -> Floats:
    """Return vectors of length 1 along the last axis; what has no direction stays 0."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Floats = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return unit


def _midranks(values: Floats, weights: Floats) -> Floats:
    """Return the rank of every row in every resample [rows, resamples]; equal values share their mean rank."""
    levels, level = np.unique(values, return_inverse=True)
    entries = (np.ones(len(level)), (level, np.arange(len(level))))
    counts = csr(entries, shape=(len(levels), len(level))) @ weights
    return np.asarray((np.cumsum(counts, axis=0) - counts / 2)[level])


def _correlation(left: Floats, right: Floats, weights: Floats) -> Floats:
    """Return Pearson's correlation of columns [rows, columns], weighted; NaN where one of them does not vary."""
    total = weights.sum(axis=0)
    left = left - (weights * left).sum(axis=0) / total
    right = right - (weights * right).sum(axis=0) / total
    together = (weights * left * right).sum(axis=0)
    apart = np.sqrt((weights * left**2).sum(axis=0) * (weights * right**2).sum(axis=0))
    correlation: Floats = np.divide(
        together, apart, out=np.full_like(apart, np.nan), where=apart > 1e-12 * total
    )
    return correlation
