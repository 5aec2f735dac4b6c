"""Masks, texts and boxes of varying difficulty, under a model and a worse one, and enough of them to know the drop."""

from collections.abc import Callable

import numpy as np

from spectral_engine.measure.bootstrap import Pair
from spectral_engine.measure.metrics import metric_rule

IMAGES, SIDE, CLASSES = 10_000, 6, 4
TEXTS, LONGEST, CHARACTERS = 10_000, 16, 10
DETECTED, MOST = 4_000, 6
Population = tuple[np.ndarray, np.ndarray, np.ndarray]  # answers before, answers after, labels


def masks(rng: np.random.Generator) -> Population:
    """Regions of four classes, the last one rare; hard images lose more pixels to the first."""
    labels = rng.choice(CLASSES, (IMAGES, SIDE, SIDE), p=[0.6, 0.25, 0.12, 0.03])
    hard = rng.beta(1, 4, (IMAGES, 1, 1))
    lost = rng.random(labels.shape)
    before, after = (np.where(lost < share * hard, 0, labels) for share in (0.4, 0.5))
    return np.eye(CLASSES)[before], np.eye(CLASSES)[after], labels


def texts(rng: np.random.Generator) -> Population:
    """Texts of 1 to 16 characters, one step for each and a blank behind it; hard ones are misread more often."""
    length = rng.integers(1, LONGEST + 1, TEXTS)
    labels = rng.integers(1, CHARACTERS, (TEXTS, LONGEST))
    labels[np.arange(LONGEST) >= length[:, None]] = -1
    hard, lost = rng.beta(1, 6, (TEXTS, 1)), rng.random(labels.shape)
    steps = np.zeros((TEXTS, 2 * LONGEST), dtype=int)
    answers = []
    for share in (0.5, 0.6):
        steps[:, ::2] = np.where((labels < 0) | (lost < share * hard), 0, labels)
        answers.append(np.eye(CHARACTERS, dtype=np.float32)[steps])
    return answers[0], answers[1], labels


def boxes(rng: np.random.Generator) -> Population:
    """Up to six boxes of three classes an image, found with an offset that grows with its difficulty."""
    shape = (DETECTED, MOST)
    corner = rng.uniform(0, 200, (*shape, 2))
    size, kind = rng.uniform(20, 60, (*shape, 2)), rng.choice(3, shape, p=[0.6, 0.3, 0.1])
    there = np.arange(MOST) < rng.integers(0, MOST + 1, (DETECTED, 1))
    coordinates = np.concatenate([corner, corner + size], axis=-1)
    labels = np.concatenate([coordinates, np.where(there, kind, -1)[..., None]], axis=-1)
    score = np.where(there, rng.random(shape), -1.0)[..., None]
    hard = rng.beta(1, 4, (DETECTED, 1, 1))
    offset = rng.normal(size=coordinates.shape)
    before, after = (
        np.concatenate([coordinates + 40 * share * hard * offset, score, kind[..., None]], axis=-1)
        for share in (0.4, 0.5)
    )
    return before, after, labels


POPULATIONS: dict[str, tuple[str, Callable[[np.random.Generator], Population]]] = {
    "synthetic masks": ("miou", masks),
    "synthetic texts": ("cer", texts),
    "synthetic boxes": ("map", boxes),
}


def pair(name: str) -> Pair:
    """Return both models on the whole population."""
    metric, draw = POPULATIONS[name]
    before, after, labels = draw(np.random.default_rng(0))
    rule = metric_rule(metric)
    form = "values" if metric == "map" else "logits"
    return Pair(rule, rule.rows(before, labels, form), rule.rows(after, labels, form))
