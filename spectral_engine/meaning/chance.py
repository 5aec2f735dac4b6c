"""How much the original knows where no share of right answers tells it: its metric beside that of other rows' answers.

Boxes, texts and similarities of pairs have no kappa. Instead each row is given the answer of another one, which keeps
what all answers have in common (objects in the middle, frequent letters) and loses what they say of their own row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.skill import Skill
from spectral_engine.measure.metrics import MetricRule, Rows, metric_rule
from spectral_engine.measure.statistics import paired_drop
from spectral_engine.records.metrics import Metric

Array = NDArray[Any]
CONFIDENCE = 0.98  # two-sided: 99 % one-sided, as everywhere for the original
MOST_IMAGES = 150  # that boxes are matched in
JUDGES: dict[str, Metric] = {"boxes": "map50", "texts": "cer", "pairs": "spearman"}
WORDS: dict[Metric, str] = {"map50": "AP50", "cer": "character error rate", "spearman": "Spearman"}


def judge_of(meaning: Meaning) -> MetricRule:
    """Return the metric that tells how much is known of boxes, texts or pairs."""
    return metric_rule(JUDGES[meaning.kind], task=meaning.task, blank=meaning.blank)


def skill_above_chance(meaning: Meaning, outputs: Array, labels: Array) -> Skill:
    """Return how far raw outputs [n, …] are from other rows' towards perfect ones, against canonical labels."""
    if meaning.kind == "boxes":
        outputs, labels = outputs[:MOST_IMAGES], labels[:MOST_IMAGES]
    rule, answers, truth = judge_of(meaning), meaning.answers(outputs), meaning.truth(labels)
    actual = rule.rows(answers, truth, meaning.layout.form)
    if not len(actual):
        return Skill(0.0, 0.0, "no row has a label that counts")
    if reason := rule.obstacle(actual):
        return Skill(0.0, 0.0, reason)
    rolled = rule.rows(
        np.roll(answers, max(1, len(answers) // 2), axis=0), truth, meaning.layout.form
    )
    return _compared(rule, actual, rolled)


def _compared(rule: MetricRule, actual: Rows, rolled: Rows) -> Skill:
    value, chance = rule.value(actual), rule.value(rolled)
    said = f"{WORDS[rule.name]} {value:.3f}, {chance:.3f} with the answers of other rows"
    room = abs((1.0 if rule.higher_is_better else 0.0) - chance)
    if not np.isfinite(value) or not np.isfinite(chance) or room <= 0:
        return Skill(0.0, 0.0, said)
    gain = paired_drop(rule, actual, rolled, confidence=CONFIDENCE, seed=0)
    return Skill(gain.value / room, gain.interval.low / room, said)
