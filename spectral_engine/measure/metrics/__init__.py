"""Metrics: one small file per family, one class per metric. To add one, add a file, and its name to the recipe."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from spectral_engine.measure.metrics.base import Form, MetricRule
from spectral_engine.measure.metrics.by_class import per_class
from spectral_engine.measure.metrics.registry import metric_rule
from spectral_engine.measure.metrics.rows import Rows

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Form", "MetricRule", "Rows", "metric_rule", "per_class"]
