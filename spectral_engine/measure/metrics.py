"""Metrics of answers against labels. Sums over rows come first, so that resampling is fast."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import rankdata

from spectral_engine.data.classes import class_axis
from spectral_engine.recipe import Metric

Array = NDArray[Any]
Floats = NDArray[np.float64]


def predicted(outputs: Array, threshold: float | None = None, labels: Array | None = None) -> Array:
    """Return classes: the strongest column; of a single column, whether it passes the threshold.

    The shape of the labels, where given, tells which axis holds the classes. Without a threshold it is 0.5 where all
    answers lie in [0, 1], and 0 otherwise, as for logits.
    """
    if labels is not None and outputs.ndim == labels.ndim + 1 and outputs.shape[-1] > 1:
        return np.asarray(outputs.argmax(axis=-1))
    if labels is not None and outputs.shape == labels.shape:
        return (outputs > 0).astype(np.int64)
    if outputs.ndim > 2:
        shape = None if labels is None else labels.shape
        return np.asarray(outputs.argmax(axis=class_axis(outputs.shape, shape)))
    flat = outputs.reshape(len(outputs), -1)
    if flat.shape[1] > 1:
        return np.asarray(flat.argmax(axis=1))
    column = flat[:, 0]
    if threshold is None:
        threshold = usual_threshold(column)
    return (column > threshold).astype(np.int64)


def usual_threshold(answers: Array) -> float:
    """Return 0.5 for probabilities, 0 for logits."""
    return 0.5 if ((answers >= 0) & (answers <= 1)).all() else 0.0


def correct(outputs: Array, labels: Array, threshold: float | None = None) -> Floats:
    """Return 1 for every right answer [rows]; the share of right entries where a row has several."""
    if labels.ndim > 1 and labels.shape == outputs.shape:
        right = (outputs > 0) == (labels > 0.5)
    else:
        right = predicted(outputs, threshold, labels) == labels
    return _row_means(right)


def agrees(outputs: Array, teacher: Array) -> Floats:
    """Return 1 where two models answer alike [rows]."""
    return _row_means(np.asarray(predicted(outputs) == predicted(teacher)))


def _row_means(right: Array) -> Floats:
    means: Floats = right.astype(np.float64).reshape(len(right), -1).mean(axis=1)
    return means


def score(metric: Metric, outputs: Array, labels: Array, threshold: float | None = None) -> float:
    """Return a metric; for `agreement`, `labels` are the original model's outputs.

    A row's answers are [columns]; [rows, classes] for classes, one column for binary and regression.
    """
    if metric == "agreement":
        return float(agrees(outputs, labels).mean())
    if metric == "accuracy":
        return float(correct(outputs, labels, threshold).mean())
    if metric == "balanced_accuracy":
        return float(np.mean([*_recalls(predicted(outputs, threshold, labels), labels).values()]))
    if metric == "f1_macro":
        return _f1_macro(predicted(outputs, threshold, labels), labels)
    if metric == "auc":
        return _auc(outputs, labels)
    return _regression(metric, outputs, labels)


def per_class(outputs: Array, labels: Array, names: Any = None) -> dict[str, float]:
    """Return each class's share of rows that are recognised, by its name."""
    recalls = _recalls(predicted(outputs, labels=labels), labels)
    return {names[k] if names else str(k): value for k, value in recalls.items()}


def _recalls(answers: Array, labels: Array) -> dict[int, float]:
    return {int(k): float((answers[labels == k] == k).mean()) for k in np.unique(labels)}


def _f1_macro(answers: Array, labels: Array) -> float:
    scores = []
    for k in np.union1d(answers, labels):
        right = float(((answers == k) & (labels == k)).sum())
        wrong = float(((answers == k) != (labels == k)).sum())
        scores.append(2 * right / (2 * right + wrong) if right + wrong else 0.0)
    return float(np.mean(scores))


def _auc(outputs: Array, labels: Array) -> float:
    """Area under the ROC curve; over classes the plain mean of one against the rest."""
    flat = outputs.reshape(len(outputs), -1).astype(np.float64)
    if flat.shape[1] == 1:
        return _binary_auc(flat[:, 0], labels > 0)
    if flat.shape[1] == 2:
        return _binary_auc(flat[:, 1] - flat[:, 0], labels == 1)
    if not np.allclose(flat.sum(axis=1), 1.0):  # logits: one class against the rest needs shares
        flat = softmax(flat, axis=1)
    classes = [k for k in range(flat.shape[1]) if 0 < (labels == k).sum() < len(labels)]
    return float(np.mean([_binary_auc(flat[:, k], labels == k) for k in classes]))


def _binary_auc(scores: Array, positive: Array) -> float:
    """Mann and Whitney's U over the number of pairs; ties count half."""
    ranks = rankdata(scores)
    count = int(positive.sum())
    pairs = count * (len(scores) - count)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / pairs) if pairs else 0.5


def _regression(metric: Metric, outputs: Array, labels: Array) -> float:
    truth = labels.reshape(len(labels), -1).astype(np.float64)
    error = outputs.reshape(truth.shape).astype(np.float64) - truth
    if metric == "mse":
        return float(np.mean(error**2))
    if metric == "mae":
        return float(np.mean(np.abs(error)))
    spread = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    spread = np.where(spread > 0, spread, np.finfo(np.float64).tiny)
    return float(np.mean(1 - (error**2).sum(axis=0) / spread))
