"""Whether a metric can tell a good model from a wrecked one, on these rows: asked by wrecking answers."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spectral_engine.measure.metrics import Form, MetricRule
from spectral_engine.measure.metrics.decisions import over_classes
from spectral_engine.measure.statistics import paired_drop

Array = NDArray[Any]
Wreck = Literal["shuffled", "constant", "reversed", "rolled"]
OF_NUMBERS = {"mse", "mae", "mape", "quantile_loss", "r2", "rank_agreement"}
CLEARLY = 0.95  # the confidence with which a wreck must be worse


def wrecks(rule: MetricRule, answers: Array, labels: Array, seed: int = 0) -> dict[Wreck, Array]:
    """Return what is left of canonical answers by four kinds of damage.

    shuffled: each row has the answer of another one. constant: each has the mean of all. reversed: classes in reverse
    order, or numbers negated, of a pair one. rolled: each class has the answer of the class before it.
    """
    order = np.random.default_rng(seed).permutation(len(answers))
    damaged: dict[Wreck, Array] = {"shuffled": answers[order]}
    if rule.name in {"map", "map50"}:
        return damaged | {"constant": np.broadcast_to(answers[:1], answers.shape)}
    mean = answers.mean(axis=0, dtype=np.float64).astype(answers.dtype)
    damaged["constant"] = np.broadcast_to(mean, answers.shape)
    if rule.name == "spearman":
        damaged["reversed"] = answers * np.array([[1.0], [-1.0]])  # of the pair [2, width]
    elif rule.name in OF_NUMBERS or not _over_classes(rule, answers, labels):
        damaged["reversed"] = -answers
    else:
        damaged["reversed"] = answers[..., ::-1]
        damaged["rolled"] = np.roll(answers, 1, axis=-1)
    return damaged


def _over_classes(rule: MetricRule, answers: Array, labels: Array) -> bool:
    return rule.name == "cer" or over_classes(answers, labels, rule.task)


def wrecked_drops(
    rule: MetricRule, answers: Array, labels: Array, form: Form, seed: int = 0
) -> dict[Wreck, float]:
    """Return how much worse each wreck is than the answers; above 0 is worse."""
    sign = 1.0 if rule.higher_is_better else -1.0
    value = rule.value(rule.rows(answers, labels, form))
    return {
        name: sign * (value - rule.value(rule.rows(wreck, labels, form)))
        for name, wreck in wrecks(rule, answers, labels, seed).items()
    }


def cannot_move(
    rule: MetricRule,
    answers: Array,
    labels: Array,
    form: Form,
    *,
    against: Literal["labels", "original"] = "labels",
    floor: float | None = None,
    seed: int = 0,
) -> str | None:
    """Return why the metric tells nothing on these rows, or None; answers are the original's, in canonical form.

    It tells nothing where it is not defined, or the same whatever wreck answers. Against the original's own answers,
    which are perfect by definition, some wreck must be clearly worse. With a floor, answers that are shuffled over the
    rows, and the same answer to every row, must both exceed it: else models that know nothing of their input keep it.
    """
    rows = rule.rows(answers, labels, form)
    if not len(rows):
        return f"{rule.name}: no row has a label that counts"
    if reason := rule.obstacle(rows):
        return reason
    if not np.isfinite(rule.value(rows)):
        return f"{rule.name} is not defined on these {len(rows):,} rows"
    drops = wrecked_drops(rule, answers, labels, form, seed)
    if not any(abs(drop) > 1e-12 or np.isnan(drop) for drop in drops.values()):
        return f"{rule.name} is the same for shuffled, constant and reversed answers as for the model's own"
    if (against == "original" or rule.against_original) and not _some_is_clearly_worse(
        rule, answers, labels, form, seed
    ):
        return f"{rule.name}: shuffled, constant and reversed answers are not clearly worse than the original's own"
    return None if floor is None else _within_floor(rule, drops, floor)


def _some_is_clearly_worse(
    rule: MetricRule, answers: Array, labels: Array, form: Form, seed: int
) -> bool:
    before = rule.rows(answers, labels, form)
    pairs = (
        (before, rule.rows(wreck, labels, form))
        for wreck in wrecks(rule, answers, labels, seed).values()
    )
    return any(
        paired_drop(rule, *pair, confidence=CLEARLY, seed=seed).interval.low > 0 for pair in pairs
    )


def _within_floor(rule: MetricRule, drops: dict[Wreck, float], floor: float) -> str | None:
    words = {"shuffled": "answers shuffled over the rows", "constant": "one answer to every row"}
    for name, drop in drops.items():
        if name in words and drop <= floor:
            lost = max(0.0, drop)
            return f"{rule.name}: {words[name]} would lose {lost:.3g} only"
    return None
