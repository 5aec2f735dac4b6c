"""Which metric judges: the one that is asked for, or the usual one of what the answers are."""

from __future__ import annotations

from spectral_engine.errors import InvalidRequest
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.records.labels import Task
from spectral_engine.records.metrics import TASK_OF_METRIC, Metric
from spectral_engine.records.recipe import Recipe

USUAL: dict[str, Metric] = {"numbers": "r2", "boxes": "map", "texts": "cer", "pairs": "spearman"}
OWN_METRICS: dict[str, tuple[Metric, ...]] = {
    "boxes": ("map", "map50"),
    "texts": ("cer",),
    "pairs": ("spearman",),
}
OF_DECISIONS: set[Metric] = {"miou", "dice", "balanced_accuracy", "f1_macro"}
OF_LABELS: set[Metric] = {*OF_DECISIONS, "accuracy", "top5", "auc", "log_loss"}
UNLABELLED: set[Metric] = {"agreement", "rank_agreement"}  # of any answers


def task_of_answers(meaning: Meaning) -> Task:
    """Return what kind of answers these are, also where there are no labels."""
    return meaning.compared_as or meaning.task


def choose_metric(recipe: Recipe, meaning: Meaning) -> Metric:
    """Return the metric that is asked for, or the usual one; raises InvalidRequest where it needs labels."""
    if meaning.labelled:
        return _of_labels(recipe.metric, meaning)
    usual = meaning.metric or "agreement"
    known = UNLABELLED | ({"r2"} if meaning.kind == "numbers" else OF_DECISIONS)
    if recipe.metric is not None and recipe.metric not in known:
        raise InvalidRequest(
            f"metric {recipe.metric!r} needs labels, and the data set has none",
            pointer="#/recipe/metric",
        )
    return recipe.metric or usual


def _of_labels(asked: Metric | None, meaning: Meaning) -> Metric:
    """Return the metric of labels of this kind; raises InvalidRequest for one of another task."""
    metric = asked or meaning.metric or USUAL.get(meaning.kind, "accuracy")
    if meaning.kind == "numbers" and metric in OF_LABELS:
        raise InvalidRequest(
            f"metric {metric!r} is of classes, and the labels are read as {meaning.reading}: ask for r2, mae or "
            "another metric of numbers, or say `labels.task`",
            pointer="#/recipe/metric",
        )
    task = TASK_OF_METRIC.get(metric)
    has_own_metrics = meaning.kind in OWN_METRICS
    if (task is None and not has_own_metrics) or task == meaning.task:
        return metric
    known = ", ".join(OWN_METRICS[meaning.kind]) if has_own_metrics else "other metrics"
    raise InvalidRequest(
        f"metric {metric!r} does not go with {meaning.reading}: ask for {known}",
        pointer="#/recipe/metric",
    )
