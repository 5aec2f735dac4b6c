"""Where the metric that was chosen by itself cannot move on these rows, one that can is taken, and that is said."""

from __future__ import annotations

from dataclasses import replace

from spectral_engine.errors import InvalidRequest
from spectral_engine.evaluation.evaluation import Evaluation
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.record import describe
from spectral_engine.meaning.unlabelled_forms import by_numbers
from spectral_engine.measure.metrics.similarity import LEAST_ROWS
from spectral_engine.records.metrics import IN_OWN_UNITS, Metric

CONTRAST = 2  # floors that knowing nothing must lose, or next to nothing is kept within one
STRICT = 0.1  # a floor above it gives up much, whatever the metric
DECISIONS: tuple[Metric, ...] = ("balanced_accuracy", "log_loss")
WITH_LABELS: dict[str, tuple[Metric, ...]] = {
    "classes": DECISIONS,
    "scores": DECISIONS,
    "numbers": ("mae",),
}
WITHOUT_LABELS: dict[Metric, tuple[Metric, ...]] = {
    "miou": ("agreement", "r2"),
    "agreement": ("balanced_accuracy", "r2"),
    "rank_agreement": ("r2",),
}


def in_a_metric_that_moves(evaluation: Evaluation) -> Evaluation:
    """Return the evaluation in the first metric that tells a working model from a wrecked one on validation rows.

    What the recipe asks for stays, and so does the usual metric where none can move.
    """
    recipe = evaluation.recipe
    knows_nothing = recipe.allow_poor_original or recipe.spectral.init == "fresh"
    if recipe.metric is not None or knows_nothing:
        return evaluation
    reason = _still(evaluation)
    if reason is None:
        return _of_every_class(evaluation)
    for metric in _instead(evaluation.meaning, evaluation.metric):
        other = _judged_by(evaluation, metric, reason)
        if _still(other) is None:
            return other
    return evaluation


def kept_by_a_constant(evaluation: Evaluation) -> str | None:
    """Return why a floor in a metric of shares says little: where one class is common, one answer to all rows keeps it.

    Not asked of floors that are no strict ones.
    """
    floor = evaluation.recipe.target.max_metric_drop
    by_shares = evaluation.meaning.labelled and evaluation.metric == "accuracy"
    if floor is None or floor > STRICT or not by_shares:
        return None
    return evaluation.obstacle(CONTRAST * floor)


def _of_every_class(evaluation: Evaluation) -> Evaluation:
    """Judge by the mean over classes where accuracy is kept by one answer to all rows, and that is not."""
    reason = kept_by_a_constant(evaluation)
    if reason is None:
        return evaluation
    other = _judged_by(evaluation, "balanced_accuracy", reason)
    return other if _still(other) is None else evaluation


def floor_obstacle(evaluation: Evaluation) -> str | None:
    """Return why a floor would mean nothing: the metric cannot move, or its unit is not that of the usual one."""
    reason = evaluation.obstacle() or kept_by_a_constant(evaluation)
    if reason is not None:
        return reason
    metric = evaluation.metric
    if evaluation.recipe.metric is None and metric in IN_OWN_UNITS:
        return f"{metric} was taken, as the usual metric cannot move here, and a share is no unit of it"
    return None


def _instead(meaning: Meaning, usual: Metric) -> tuple[Metric, ...]:
    if meaning.labelled:
        return WITH_LABELS.get(meaning.kind, ())
    return WITHOUT_LABELS.get(usual, ())


def _still(evaluation: Evaluation) -> str | None:
    """Return why the metric tells nothing; without labels it must also tell the rows apart."""
    splits = evaluation.splits
    fewest = min(splits.validation.rows, splits.test.rows)
    if evaluation.metric == "rank_agreement" and fewest < LEAST_ROWS:
        return f"rank_agreement needs {LEAST_ROWS} rows to choose by and to hold out, and there are {fewest}"
    try:
        return evaluation.obstacle(floor=None if evaluation.meaning.labelled else 0.0)
    except InvalidRequest as refused:  # answers that the metric does not take
        return refused.detail


def _judged_by(evaluation: Evaluation, metric: Metric, reason: str) -> Evaluation:
    """Return the same rows and answers, judged by another metric, with the reason among what was understood."""
    meaning = evaluation.meaning
    why = (*meaning.why, f"{reason}: {metric} is taken instead")
    if metric == "r2" and meaning.kind != "numbers":
        meaning = by_numbers(meaning)
    meaning = replace(meaning, metric=metric, why=why)
    summary = evaluation.splits.summary.model_copy(update={"meaning": describe(meaning)})
    return evaluation.understood_as(meaning, replace(evaluation.splits, summary=summary))
