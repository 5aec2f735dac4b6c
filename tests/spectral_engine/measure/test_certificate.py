"""What held-out rows show of a floor: wrong no more often than the confidence allows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, multinomial

from spectral_engine.measure import betting, bootstrap, paired_answers
from spectral_engine.measure.bootstrap import Pair
from spectral_engine.measure.certificate import rows_needed, weigh
from spectral_engine.measure.metrics import metric_rule
from spectral_engine.measure.metrics.ratio import ratio_rows
from spectral_engine.measure.paired_answers import Counts

LEVEL = 0.05


def pair(metric, before, after, labels, form="logits"):
    rule = metric_rule(metric)
    return Pair(rule, *(rule.rows(answers, labels, form) for answers in (before, after)))


def least_gains(rows, lost, floor):
    """How many answers must be gained, beside so many lost, to pass."""
    passes = (
        c
        for c in range(max(0, lost - int(rows * floor)), rows - lost + 1)
        if paired_answers.p_value(Counts(rows, lost, c), floor, LEVEL) <= LEVEL
    )
    return next(passes, None)


def chance_of_passing(rows, floor):
    """By the multinomial law itself, over all tables that pass: the largest of all candidates at the floor."""
    starts = [least_gains(rows, b, floor) for b in range(rows + 1)]
    tables = np.array(
        [
            (b, c, rows - b - c)
            for b, first in enumerate(starts)
            if first is not None
            for c in range(first, rows - b + 1)
        ]
    )
    gains = np.linspace(0, (1 - floor) / 2, 40)
    shares = np.column_stack([floor + gains, gains, 1 - floor - 2 * gains])
    return max(multinomial.pmf(tables, rows, share).sum() for share in shares)


@pytest.mark.parametrize(("rows", "floor"), [(16, 0.0), (25, 0.05), (30, 0.02), (40, 0.1)])
def test_a_candidate_at_the_floor_passes_no_more_often_than_the_level(rows, floor):
    chance = chance_of_passing(rows, floor)
    assert chance <= LEVEL
    assert chance > 0.6 * LEVEL  # and the level is used


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(0, 60), st.integers(0, 60), st.floats(0.0, 0.3))
def test_every_answer_lost_more_speaks_against_a_candidate_and_every_one_gained_for_it(
    rows, lost, gained, floor
):
    lost = min(lost, rows - 1)
    gained = min(gained, rows - lost - 1)
    tables = [(lost, gained), (lost + 1, gained), (lost, gained + 1)]
    here, worse, better = (
        paired_answers.score(rows, np.array([b]), np.array([c]), floor)[0] for b, c in tables
    )
    assert worse <= here + 1e-9
    assert better >= here - 1e-9


def test_without_gains_the_p_value_is_at_least_the_binomial_one_and_close_to_it():
    for rows, lost, floor in ((100, 0, 0.05), (400, 1, 0.02), (1000, 5, 0.01)):
        p_value = paired_answers.p_value(Counts(rows, lost, 0), floor, LEVEL)
        assert binom.cdf(lost, rows, floor) <= p_value <= 2 * binom.cdf(lost, rows, floor)


def test_agreement_is_tested_by_the_binomial_law():
    original = np.eye(3)[np.zeros(300, int)]
    candidate = original.copy()
    candidate[:2] = candidate[:2, ::-1]
    evidence = weigh(
        pair("agreement", original, candidate, original), floor=0.02, confidence=0.95, seed=0
    )
    assert evidence.p_value == pytest.approx(binom.cdf(2, 300, 0.02))
    assert binom.cdf(2, 300, evidence.upper_bound) == pytest.approx(LEVEL, abs=1e-3)


@pytest.mark.parametrize(("spread", "rows"), [(4, 100), (10, 400)])
def test_bets_on_shares_of_right_labels_win_no_more_often_than_the_level(spread, rows):
    """2,000 draws with a mean drop of exactly the floor."""
    rng = np.random.default_rng(0)
    floor, passed = 0.02, 0
    for _ in range(2000):
        drops = (rng.binomial(spread, 0.12, rows) - rng.binomial(spread, 0.1, rows)) / spread
        passed += betting.p_value(drops, floor, LEVEL) <= LEVEL
    assert passed / 2000 <= LEVEL


def test_bets_on_pixels_hold_where_hard_images_have_more_that_count():
    """2,000 draws of 150 images; what is lost, and how much of an image counts, go together."""
    rng = np.random.default_rng(0)
    floor, passed = 0.03, 0
    for _ in range(2000):
        hard = rng.random(150) < 0.3
        weights = np.where(hard, 1.0, 0.2)
        # Hard images lose l of their pixels, easy ones none: 0.3 · l = floor · (0.3 · 1 + 0.7 · 0.2).
        chance = floor * (0.3 + 0.14) / 0.3
        drops = np.where(hard, rng.binomial(20, chance, 150) / 20, 0.0)
        passed += betting.p_value(drops, floor, LEVEL, weights) <= LEVEL
    assert passed / 2000 <= LEVEL


def test_what_does_not_count_changes_no_evidence():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (300, 6))
    before, after = (
        np.where(rng.random(labels.shape) < wrong, 1 - labels, labels) - 0.5
        for wrong in (0.05, 0.06)
    )
    padded = np.concatenate([labels, np.full((300, 6), -1)], axis=1)
    wide = [np.concatenate([part, rng.normal(size=(300, 6))], axis=1) for part in (before, after)]
    one = weigh(pair("accuracy", before, after, labels), floor=0.05, confidence=0.95, seed=0)
    other = weigh(pair("accuracy", *wide, padded), floor=0.05, confidence=0.95, seed=0)
    assert other.upper_bound >= pair("accuracy", before, after, labels).drop()
    assert other.upper_bound == pytest.approx(one.upper_bound, abs=0.02)


def test_many_rows_with_several_labels_each_show_what_is_true():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (2000, 6))
    before = np.where(rng.random(labels.shape) < 0.05, 1 - labels, labels).astype(float)
    after = np.where(rng.random(labels.shape) < 0.01, 1 - before, before)
    evidence = weigh(pair("accuracy", before, after, labels), floor=0.03, confidence=0.95, seed=0)
    assert evidence.p_value <= LEVEL
    assert evidence.upper_bound < 0.03


def answers(rows, lost, gained):
    before, after = np.ones(rows, int), np.ones(rows, int)
    after[:lost] = 0
    before[lost : lost + gained] = 0
    return pair("accuracy", np.eye(2)[before], np.eye(2)[after], np.ones(rows, int))


@settings(deadline=None, max_examples=15)
@given(
    st.integers(20, 400), st.integers(0, 8), st.integers(0, 8), st.sampled_from([0.0, 0.01, 0.05])
)
def test_the_bound_and_the_p_value_say_the_same(rows, lost, gained, floor):
    evidence = weigh(answers(rows, lost, gained), floor=floor, confidence=0.95, seed=0)
    assert (evidence.p_value <= LEVEL) == (evidence.upper_bound <= floor)
    assert evidence.upper_bound >= (lost - gained) / rows


@pytest.mark.parametrize("metric", ["accuracy", "agreement"])
def test_rows_sorted_by_class_say_what_shuffled_rows_say(metric):
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, 4, 500))
    before = np.eye(4)[np.where(rng.random(500) < 0.1, rng.integers(0, 4, 500), labels)]
    after = np.where(rng.random((500, 1)) < 0.02, np.roll(before, 1, axis=1), before)
    truth = before if metric == "agreement" else labels
    order = rng.permutation(500)
    pairs = (
        pair(metric, before, after, truth),
        pair(metric, before[order], after[order], truth[order]),
    )
    one, other = (weigh(each, floor=0.03, confidence=0.95, seed=0) for each in pairs)
    assert one == other


def test_rows_on_which_both_models_agree_prove_nothing_by_being_few():
    """Whatever the metric: 30 rows without a difference leave room for a drop of a point."""
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    outputs = np.eye(3)[labels] + 0.1 * rng.random((30, 3))
    for metric in ("accuracy", "balanced_accuracy", "f1_macro", "agreement"):
        truth = outputs if metric == "agreement" else labels
        evidence = weigh(pair(metric, outputs, outputs, truth), floor=0.01, confidence=0.95, seed=0)
        assert evidence.p_value > LEVEL, metric
        assert evidence.upper_bound > 0.01, metric


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["mse", "r2"])
def test_resampled_floors_hold_about_as_often_as_they_say(metric, monkeypatch):
    """200 data sets of 150 rows, each tested at its own true drop: 5 % may pass, and by chance a few more."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 200)
    rng = np.random.default_rng(0)
    rows, many = 150, 200_000

    def drawn(count):
        truth = rng.normal(size=count)
        errors = rng.normal(size=(2, count))
        return pair(metric, truth + 0.5 * errors[0], truth + 0.55 * errors[1], truth, "values")

    floor = drawn(many).drop()
    passed = sum(
        bootstrap.resample(drawn(rows), seed).p_value(floor) <= LEVEL for seed in range(200)
    )
    assert passed / 200 <= LEVEL + 2 * (LEVEL * (1 - LEVEL) / 200) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["miou", "cer"])
def test_floors_of_pooled_figures_hold_about_as_often_as_they_say(metric, monkeypatch):
    """300 draws of 120 images or texts from 20,000, each tested at the drop of them all."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 300)
    population = POPULATIONS[metric](np.random.default_rng(0), 20_000)
    floor, passed = population.drop(), 0
    for seed in range(300):
        drawn = np.random.default_rng(seed).integers(0, population.rows, 120)
        resamples = bootstrap.resample(population.take(drawn), seed)
        passed += resamples.p_value(floor) <= LEVEL
    assert passed / 300 <= LEVEL + 2 * (LEVEL * (1 - LEVEL) / 300) ** 0.5


def drawn_masks(rng, rows):
    labels = rng.integers(0, 3, (rows, 8))
    hard = rng.beta(1, 4, (rows, 1))
    before, after = (
        np.eye(3)[np.where(rng.random(labels.shape) < share * hard, 0, labels)]
        for share in (0.5, 0.7)
    )
    return pair("miou", before, after, labels)


def drawn_texts(rng, rows):
    length = rng.integers(1, 20, rows).astype(float)
    hard = rng.beta(1, 6, rows)
    before, after = (rng.binomial(length.astype(int), s * hard).astype(float) for s in (0.5, 0.7))
    return Pair(metric_rule("cer"), ratio_rows(before, length), ratio_rows(after, length))


POPULATIONS = {"miou": drawn_masks, "cer": drawn_texts}


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_the_bound_of_a_loss_holds_also_where_few_rows_carry_it(spread, monkeypatch):
    """400 draws of 100 rows whose losses grow by a lognormal amount, of which a few rows make up most."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 300)
    rule, passed, floor = metric_rule("mae"), 0, np.exp(spread**2 / 2)
    for seed in range(400):
        lost = np.random.default_rng(seed).lognormal(0, spread, 100)
        paired_rows = Pair(rule, ratio_rows(np.ones(100), 1.0), ratio_rows(1 + lost, 1.0))
        passed += bootstrap.resample(paired_rows, seed).p_value(floor) <= LEVEL
    assert passed / 400 <= LEVEL + 2 * (LEVEL * (1 - LEVEL) / 400) ** 0.5


def test_a_row_that_carries_the_difference_is_told():
    lost = np.full(100, 0.001)
    lost[7] = 1.0
    paired_rows = Pair(metric_rule("mae"), ratio_rows(np.ones(100), 1.0), ratio_rows(1 + lost, 1.0))
    said = weigh(paired_rows, floor=0.02, confidence=0.95, seed=0)
    assert said.asymptotic
    assert "one row carries 91% of the difference" in said.method


@pytest.mark.parametrize(("rows", "lost", "gained"), [(400, 3, 3), (500, 5, 4), (200, 0, 0)])
def test_with_as_many_rows_as_are_said_to_be_needed_the_floor_is_mostly_shown(rows, lost, gained):
    floor, drop = 0.01, (lost - gained) / rows
    evidence = weigh(answers(rows, lost, gained), floor=floor, confidence=0.95, seed=0)
    assert evidence.upper_bound > floor
    needed = rows_needed(rows, drop, evidence.upper_bound, floor, 0.95)
    rng = np.random.default_rng(0)
    shares = [lost / rows, gained / rows, 1 - (lost + gained) / rows]
    tables = rng.multinomial(needed, shares, size=200)
    shown = [
        paired_answers.p_value(Counts(needed, b, c), floor, LEVEL) <= LEVEL for b, c, _ in tables
    ]
    assert 0.7 <= np.mean(shown) <= 1.0
    assert needed < 10 * rows


def test_the_exact_test_shows_more_than_betting_does():
    rng = np.random.default_rng(0)
    exact = bets = 0
    for _ in range(200):
        drops = rng.choice([1.0, -1.0, 0.0], 1000, p=[0.02, 0.02, 0.96])
        counts = Counts(1000, int((drops > 0).sum()), int((drops < 0).sum()))
        exact += paired_answers.p_value(counts, 0.012, LEVEL) <= LEVEL
        bets += betting.p_value(drops, 0.012, LEVEL) <= LEVEL
    assert exact > bets + 20
