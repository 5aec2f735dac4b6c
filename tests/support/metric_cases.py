"""For every metric: answers of a good and of a worse model, and labels, in canonical form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spectral_engine.measure.metrics import MetricRule, Rows, metric_rule

ROWS, CLASSES = 60, 7


@dataclass(frozen=True)
class Case:
    rule: MetricRule
    good: np.ndarray
    worse: np.ndarray
    labels: np.ndarray
    form: Any

    def rows(self, answers: np.ndarray) -> Rows:
        return self.rule.rows(answers, self.labels, self.form)


def case(name: str, seed: int = 0, rows: int = ROWS) -> Case:
    """The usual data of a metric."""
    rng = np.random.default_rng(seed)
    return FAMILIES[name](name, rng, rows)


def classes(name, rng, rows, places=(), count=CLASSES):
    labels = rng.permuted(np.arange(rows * int(np.prod(places))) % count).reshape(rows, *places)
    noise = rng.normal(size=(*labels.shape, count))
    good = 4.0 * np.eye(count)[labels] + noise
    return Case(metric_rule(name), good, good + 3 * rng.normal(size=good.shape), labels, "logits")


def masks(name, rng, rows):
    drawn = classes(name, rng, rows, (5, 6), 3)
    drawn.labels[:, 0, 0] = -1
    return drawn


def numbers(name, rng, rows):
    labels = rng.uniform(1, 3, (rows, 2))
    good = labels + 0.1 * rng.normal(size=labels.shape)
    return Case(metric_rule(name), good, labels + rng.normal(size=labels.shape), labels, "values")


def texts(name, rng, rows):
    labels = np.full((rows, 8), -1)
    good = np.zeros((rows, 20, 12))
    for row in range(rows):
        length = rng.integers(1, 9)
        labels[row, :length] = rng.integers(1, 12, length)
        for step, character in enumerate(labels[row, :length]):
            good[row, 2 * step, character] = 1.0  # a blank, class 0, wins every other step
    good[..., 0] += 0.5
    worse = good + 0.4 * rng.normal(size=good.shape)
    return Case(
        metric_rule(name), good + 0.1 * rng.normal(size=good.shape), worse, labels, "logits"
    )


def pairs(name, rng, rows):
    good = rng.normal(size=(rows, 2, 8))
    good[:, 1] += good[:, 0] * rng.uniform(-1, 1, (rows, 1))
    unit = good / np.linalg.norm(good, axis=-1, keepdims=True)
    labels = (unit[:, 0] * unit[:, 1]).sum(-1) + 0.1 * rng.normal(size=rows)
    return Case(metric_rule(name), good, good + rng.normal(size=good.shape), labels, "values")


def embeddings(name, rng, rows):
    good = rng.normal(size=(rows, 8))
    return Case(metric_rule(name), good, good + rng.normal(size=good.shape), good, "values")


def boxes(name, rng, rows):
    labels, answers = np.full((rows, 5, 5), -1.0), np.full((rows, 12, 6), -1.0)
    for image in range(rows):
        count = rng.integers(0, 6)
        corner, size = rng.uniform(0, 80, (count, 2)), rng.uniform(20, 40, (count, 2))
        labels[image, :count] = np.column_stack([corner, corner + size, rng.integers(0, 4, count)])
        for index in range(2 * count):
            box = labels[image, index // 2]
            kind = box[4] if rng.random() < 0.8 else rng.integers(0, 5)
            answers[image, index] = [*(box[:4] + rng.normal(0, 2, 4)), rng.random(), kind]
    worse = answers.copy()
    worse[..., :4] += rng.normal(0, 6, worse[..., :4].shape)
    return Case(metric_rule(name), answers, worse, labels, "values")


FAMILIES = {
    **dict.fromkeys(
        ("accuracy", "balanced_accuracy", "f1_macro", "top5", "auc", "log_loss"), classes
    ),
    "agreement": classes,
    **dict.fromkeys(("miou", "dice"), masks),
    **dict.fromkeys(("mse", "mae", "mape", "quantile_loss", "r2"), numbers),
    **dict.fromkeys(("map", "map50"), boxes),
    "cer": texts,
    "spearman": pairs,
    "rank_agreement": embeddings,
}
