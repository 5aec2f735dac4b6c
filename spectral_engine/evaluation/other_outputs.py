"""Outputs that no labels judge: how much of the original's answers a candidate keeps there, on held-out rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.evaluation.metric_choice import task_of_answers
from spectral_engine.evaluation.sanity import contradiction
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.measure.metrics import MetricRule, Rows, metric_rule
from spectral_engine.measure.statistics import metric_interval
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.report import MetricValue

Array = NDArray[Any]
LEAST_AGREEMENT = 0.5  # kappa or r2: below it most of what the original says there is gone


@dataclass(frozen=True)
class Kept:
    """What is kept of each other output, by its name, and why one of them contradicts a copy of the original."""

    metrics: Mapping[str, MetricValue] = field(default_factory=dict)
    contradiction: str | None = None


def kept(
    meanings: Sequence[Meaning],
    before: Mapping[str, Array],
    after: Mapping[str, Array],
    recipe: Recipe,
) -> Kept:
    """Compare a candidate's answers by output with the original's, in all outputs that are not judged."""
    metrics, reasons = {}, []
    for meaning in meanings:
        name = meaning.output
        metric = _metric(meaning, before[name], after[name], recipe)
        if metric is not None:
            metrics[name] = metric
        reason = contradiction(
            meaning,
            before[name],
            after[name],
            same_task=recipe.spectral.init != "fresh",
            least=LEAST_AGREEMENT,
        )
        if reason is not None:
            reasons.append(f"in output {name!r}, {reason}")
    return Kept(metrics, reasons[0] if reasons else None)


def _metric(meaning: Meaning, before: Array, after: Array, recipe: Recipe) -> MetricValue | None:
    """Return the usual metric of such answers, the original's for the truth; None where it says nothing."""
    name = meaning.metric or "agreement"
    rule = metric_rule(name, task=task_of_answers(meaning))
    rows = _rows(rule, meaning, before, after)
    if not len(rows) or rule.obstacle(rows) is not None or isnan(value := rule.value(rows)):
        return None
    confidence = recipe.target.confidence
    return MetricValue(
        name=name,
        value=value,
        interval=metric_interval(rule, rows, confidence=confidence, seed=recipe.seed),
        rows=len(rows),
        higher_is_better=rule.higher_is_better,
        against="original",
    )


def _rows(rule: MetricRule, meaning: Meaning, before: Array, after: Array) -> Rows:
    answers = np.nan_to_num(meaning.answers(after))
    return rule.rows(answers, meaning.answers(before), meaning.layout.form)
