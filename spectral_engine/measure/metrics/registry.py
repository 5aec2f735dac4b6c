"""Metrics by name: each is a class that registers itself when its file is imported."""

from __future__ import annotations

from typing import TypeVar

from spectral_engine.measure.metrics.base import MetricRule
from spectral_engine.records.labels import Task
from spectral_engine.records.metrics import Metric

Rule = TypeVar("Rule", bound=MetricRule)
RULES: dict[Metric, type[MetricRule]] = {}


def register(rule: type[Rule]) -> type[Rule]:
    """Make a metric known by its name."""
    RULES[rule.name] = rule
    return rule


def metric_rule(
    name: Metric,
    *,
    task: Task | None = None,
    quantiles: tuple[float, ...] = (0.5,),
    blank: int = 0,
) -> MetricRule:
    """Return the metric of this name.

    >>> metric_rule("accuracy").higher_is_better
    True
    """
    return RULES[name](task, quantiles=quantiles, blank=blank)
