"""What holds for every metric alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_engine.errors import DatasetMismatch
from spectral_engine.measure.bootstrap import Pair, with_worst_row
from spectral_engine.measure.certificate import weigh
from spectral_engine.measure.metrics import metric_rule
from spectral_engine.measure.metrics.registry import RULES
from spectral_engine.measure.movement import cannot_move, wrecks
from spectral_engine.measure.statistics import metric_interval, paired_drop
from spectral_engine.records.metrics import HIGHER_IS_BETTER
from tests.support.metric_cases import case

NAMES = sorted(HIGHER_IS_BETTER)
every = pytest.mark.parametrize("name", NAMES)


def test_every_name_of_the_recipe_is_a_metric_and_every_metric_has_its_name():
    assert set(RULES) == set(HIGHER_IS_BETTER)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(NAMES), st.integers(0, 2**16))
def test_weights_say_what_rows_that_are_taken_several_times_say(name, seed):
    example = case(name, seed)
    rows = example.rows(example.good)
    drawn = np.random.default_rng(seed).integers(0, len(rows), (3, len(rows)))
    weights = np.stack([np.bincount(one, minlength=len(rows)) for one in drawn], axis=1)
    expected = [example.rule.value(rows.take(one)) for one in drawn]
    np.testing.assert_allclose(example.rule.values(rows, weights.astype(float)), expected)


@every
def test_all_rows_in_any_order_have_the_same_figure_as_answers_in_that_order(name):
    example = case(name)
    rows = example.rows(example.good)
    value = example.rule.value(rows)
    order = np.random.default_rng(1).permutation(len(rows))
    assert example.rule.value(rows.take(np.arange(len(rows)))) == value
    assert example.rule.value(rows.take(order)) == pytest.approx(value)
    if name != "rank_agreement":  # whose anchors stay where they are
        again = example.rule.rows(example.good[order], example.labels[order], example.form)
        assert example.rule.value(again) == pytest.approx(value)


@every
def test_shares_are_what_the_metric_is_the_mean_of(name):
    example = case(name)
    rows = example.rows(example.worse)
    shares = example.rule.shares(rows)
    if shares is None:
        assert name not in {"accuracy", "agreement", "top5", "rank_agreement"}
        return
    assert shares.mean() == pytest.approx(example.rule.value(rows))
    assert shares.min() >= 0
    assert shares.max() <= 1


@every
def test_wrecked_answers_are_worse_and_a_worse_model_has_a_drop_above_0(name):
    example = case(name, rows=200)
    good = example.rows(example.good)
    sign = 1 if example.rule.higher_is_better else -1
    for wreck in wrecks(example.rule, example.good, example.labels).values():
        lost = sign * (example.rule.value(good) - example.rule.value(example.rows(wreck)))
        assert lost > 0 or (name == "rank_agreement" and lost == pytest.approx(0))  # -x as x
    drop = paired_drop(example.rule, good, example.rows(example.worse), confidence=0.95, seed=0)
    assert drop.interval.low > 0
    assert drop.interval.low <= drop.value <= drop.interval.high


@every
def test_the_interval_holds_the_figure(name):
    example = case(name, rows=150)
    rows = example.rows(example.worse)
    interval = metric_interval(example.rule, rows, confidence=0.95, seed=0)
    assert interval.low <= example.rule.value(rows) <= interval.high
    assert interval.low < interval.high


@every
def test_the_row_that_is_added_is_no_better_for_the_candidate_than_any_other(name):
    example = case(name)
    pair = Pair(example.rule, example.rows(example.good), example.rows(example.worse))
    assert with_worst_row(pair).drop() >= pair.drop() - 1e-9
    assert with_worst_row(pair).rows == pair.rows + 1


LOSSES = {
    "mse",
    "mae",
    "mape",
    "quantile_loss",
    "r2",
    "log_loss",
}  # nothing bounds what a row may lose


@pytest.mark.parametrize("name", sorted(set(NAMES) - LOSSES))
def test_few_rows_without_a_difference_prove_no_floor(name):
    example = case(name, rows=30)
    rows = example.rows(example.good)
    said = weigh(Pair(example.rule, rows, rows), floor=0.005, confidence=0.95, seed=0)
    assert said.p_value > 0.05
    assert said.upper_bound > 0.005


@every
def test_a_much_worse_model_is_never_shown_to_keep_a_small_floor(name):
    example = case(name, rows=300)
    pair = Pair(example.rule, example.rows(example.good), example.rows(example.worse))
    said = weigh(pair, floor=0.001, confidence=0.95, seed=0)
    assert said.p_value > 0.5
    assert said.upper_bound > pair.drop()


@every
def test_without_a_row_there_is_no_figure_and_a_reason(name):
    example = case(name)
    if name == "rank_agreement":
        return  # needs twelve rows, and says so
    nothing, labels = example.good[:0], example.labels[:0]
    rows = example.rule.rows(nothing, labels, example.form)
    assert len(rows) == 0
    assert np.isnan(example.rule.value(rows))
    assert "no row" in cannot_move(example.rule, nothing, labels, example.form)
    with pytest.raises(DatasetMismatch) as caught:
        weigh(Pair(example.rule, rows, rows), floor=0.1, confidence=0.95, seed=0)
    assert caught.value.pointer == "#/recipe/metric"


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "top5", "auc", "log_loss", "miou", "cer"])
@pytest.mark.parametrize("places", [(), (4, 5)])
def test_labels_that_never_count_leave_no_row(name, places):
    if name == "cer":
        places = (6,)
    labels = np.full((9, *places), -1)
    rule = metric_rule(name)
    rows = rule.rows(np.zeros((*labels.shape, 7)), labels, "logits")
    assert (len(rows), rows.dropped) == (0, 9)
