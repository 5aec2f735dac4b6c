"""Metrics that tell nothing on some rows are found out."""

import numpy as np
import pytest

from spectral_engine.measure.metrics import metric_rule
from spectral_engine.measure.movement import cannot_move, wrecked_drops
from spectral_engine.records.metrics import HIGHER_IS_BETTER
from tests.support.metric_cases import case

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(90, 4))


def reason(name, answers, labels, form="logits", task=None, **options):
    return cannot_move(metric_rule(name, task=task), answers, labels, form, **options)


@pytest.mark.parametrize("name", sorted(HIGHER_IS_BETTER))
def test_a_model_that_knows_its_data_can_be_measured(name):
    example = case(name, rows=200)
    against = "original" if example.rule.against_original else "labels"
    options = {"against": against, "floor": 0.01}
    assert cannot_move(example.rule, example.good, example.labels, example.form, **options) is None


@pytest.mark.parametrize(
    ("name", "answers", "labels", "form", "words"),
    [
        ("agreement", LOGITS[:, :1], LOGITS[:, :1], "logits", None),  # one score: its sign
        ("accuracy", LOGITS[:, :1], np.zeros(90, int), "logits", "one class to choose from"),
        ("balanced_accuracy", LOGITS, np.ones(90, int), "logits", "of one class"),
        ("auc", LOGITS, np.ones(90, int), "logits", "of one class"),
        ("auc", LOGITS[:, 0], np.ones(90, int), "logits", "of one class"),
        ("f1_macro", LOGITS, np.ones(90, int), "logits", "of one class"),
        ("top5", LOGITS, np.arange(90) % 4, "logits", "there are 4 classes"),
        ("r2", LOGITS, np.ones((90, 4)), "values", "the same in every row"),
        ("spearman", RNG.normal(size=(90, 2, 3)), np.ones(90), "values", "same similarity"),
        ("accuracy", LOGITS, np.full(90, -1), "logits", "no row has a label"),
        ("map", np.full((9, 2, 6), -1.0), np.full((9, 2, 5), -1.0), "values", "no image has"),
    ],
)
def test_what_is_the_same_whatever_is_answered_is_named(name, answers, labels, form, words):
    obstacle = reason(name, answers, labels, form)
    if words is None:
        assert obstacle is None
    else:
        assert words in obstacle


def test_agreement_over_one_channel_is_always_whole():
    masks = RNG.normal(size=(40, 6, 6, 1))
    said = reason("agreement", masks, masks, task="classification", against="original")
    assert "one class to choose from" in said
    assert reason("agreement", masks, masks, task="binary", against="original") is None


def test_an_original_that_always_answers_the_same_is_not_a_reference():
    """Its class never changes: shuffled answers agree with it everywhere."""
    constant = np.tile([3.0, 1.0, 2.0], (80, 1))
    said = reason("r2", constant, constant, "values", against="original")
    assert "the same in every row" in said
    said = reason("agreement", constant, constant, against="original", floor=0.01)
    assert "shuffled over the rows would lose 0" in said


def test_a_floor_that_a_model_without_inputs_keeps_is_refused():
    """One entry in a hundred is on: entries that are all off are 99 % right."""
    labels = np.eye(100)[np.arange(300) % 100].astype(np.int64)
    answers = labels - 0.5 + 0.01 * RNG.normal(size=labels.shape)
    assert "would lose 0.0199 only" in reason("accuracy", answers, labels, floor=0.05)
    assert reason("accuracy", answers, labels, floor=0.005) is None
    assert reason("f1_macro", answers, labels, floor=0.05) is None


def test_each_kind_of_damage_says_what_it_costs():
    labels = np.arange(120) % 4
    drops = wrecked_drops(metric_rule("accuracy"), np.eye(4)[labels], labels, "logits")
    assert drops["rolled"] == drops["reversed"] == 1.0
    assert drops["constant"] == 0.75
    assert drops["shuffled"] == pytest.approx(0.75, abs=0.15)
