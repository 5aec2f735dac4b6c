"""What a model does of every class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spectral_engine.measure.metrics.base import Form, MetricRule
from spectral_engine.measure.metrics.decisions import decisions
from spectral_engine.measure.metrics.rows import Array
from spectral_engine.measure.metrics.tallies import tallies


def per_class(
    rule: MetricRule,
    answers: Array,
    labels: Array,
    form: Form,
    names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Return the metric's own figure of every class that has one (IoU, Dice, AP), or else the class's recall, by name.

    Recall is over all places that count. Of single labels among many it is of those that are on.
    """
    figures = rule.by_class(rule.rows(answers, labels, form))
    if figures is None:
        rows = tallies(decisions(answers, labels, rule.task))
        right, true = (np.asarray(rows[name].sum(axis=0)).ravel() for name in ("right", "true"))
        figures = {int(k): float(right[k] / true[k]) for k in np.flatnonzero(true)}
    return {names[k] if names else str(k): value for k, value in figures.items()}
