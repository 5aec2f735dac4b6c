"""Metrics, intervals and latency, against scikit-learn, simulation and the clock."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from examples.specimens.row_nets import net
from spectral_engine.data.split import Split
from spectral_engine.errors import ModelInvalid
from spectral_engine.measure.latency import measure_latency, speedup
from spectral_engine.measure.metrics import metric_rule, per_class
from spectral_engine.measure.runtime import Runner, open_session
from spectral_engine.measure.statistics import metric_interval, paired_drop, paired_proportions
from spectral_engine.records.report import Latency
from tests.support.digits import splits, trained

pytestmark = pytest.mark.measured_in_full


def score(metric, answers, labels, form="logits", **options):
    rule = metric_rule(metric, **options)
    return rule.value(rule.rows(answers, labels, form))


ORACLES = {
    "accuracy": lambda p, y: reference.accuracy_score(y, p.argmax(1)),
    "balanced_accuracy": lambda p, y: reference.balanced_accuracy_score(y, p.argmax(1)),
    "f1_macro": lambda p, y: reference.f1_score(y, p.argmax(1), average="macro"),
    "auc": lambda p, y: reference.roc_auc_score(y, p, multi_class="ovr"),
}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**16), st.sampled_from(sorted(ORACLES)))
def test_class_metrics_agree_with_scikit_learn(seed, metric):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(60) % 4)
    p = rng.random((60, 4)).round(1) + 0.05
    p /= p.sum(axis=1, keepdims=True)
    assert score(metric, p, y, "probabilities") == pytest.approx(ORACLES[metric](p, y))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**16))
def test_binary_auc_counts_ties_half(seed):
    rng = np.random.default_rng(seed)
    y, scores = np.arange(40) % 2, rng.integers(0, 5, 40).astype(float)
    expected = reference.roc_auc_score(y, scores)
    assert score("auc", scores, y) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "oracle"),
    [
        ("mse", reference.mean_squared_error),
        ("mae", reference.mean_absolute_error),
        ("r2", reference.r2_score),
    ],
)
def test_regression_metrics_agree_with_scikit_learn(metric, oracle):
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    assert score(metric, p, y, "values") == pytest.approx(oracle(y, p))


def test_one_score_a_row_is_on_above_0():
    assert score("accuracy", np.array([-2.0, -0.1, 0.2, 3.0]), np.array([0, 0, 1, 1])) == 1.0


def test_agreement_compares_answers_with_the_originals():
    original = np.eye(3)[[0, 1, 2, 0]]
    assert score("agreement", np.eye(3)[[0, 1, 1, 0]], original) == 0.75


def test_classes_are_named():
    y, answers = np.array([0, 0, 1, 1]), np.eye(2)[[0, 1, 1, 1]]
    accuracies = per_class(metric_rule("accuracy"), answers, y, "logits", ["cat", "dog"])
    assert accuracies == {"cat": 0.5, "dog": 1.0}


@pytest.mark.parametrize(("rows", "wrong", "flips"), [(100, 0.05, 0.03), (400, 0.1, 0.02)])
def test_the_paired_interval_covers_the_true_drop_as_often_as_it_says(rows, wrong, flips):
    """2,000 data sets with a known drop; 95 % intervals may miss 5 % of them, and chance a little more."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        before = (rng.random(rows) > wrong).astype(float)
        lost = before * (rng.random(rows) < flips)
        gained = (1 - before) * (rng.random(rows) < 0.1)
        low, high = paired_proportions(before, before - lost + gained, 0.95)
        truth = (1 - wrong) * flips - wrong * 0.1
        covered += low <= truth <= high
    assert covered / 2000 >= 0.935


def test_the_paired_interval_is_narrower_than_two_apart():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 500)
    before = np.eye(2)[np.where(rng.random(500) < 0.1, 1 - y, y)]
    after = before.copy()
    after[:5] = 1 - after[:5]
    rule = metric_rule("accuracy")
    one, other = (rule.rows(answers, y, "logits") for answers in (before, after))
    drop = paired_drop(rule, one, other, confidence=0.95, seed=0)
    apart = metric_interval(rule, one, confidence=0.95, seed=0)
    assert drop.interval.high - drop.interval.low < apart.high - apart.low


def test_a_drop_above_zero_is_worse_also_for_errors():
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    good, bad = y + 0.1 * rng.normal(size=200), y + rng.normal(size=200)
    for metric in ("mse", "mae", "r2"):
        rule = metric_rule(metric)
        before, after = (rule.rows(answers, y, "values") for answers in (good, bad))
        drop = paired_drop(rule, before, after, confidence=0.95, seed=0)
        assert drop.interval.low > 0
        assert drop.interval.low <= drop.value <= drop.interval.high


def test_latencies_are_paired_and_judged_by_their_interval():
    def latency(ms, seed):
        samples = (ms * np.random.default_rng(seed).normal(1, 0.02, 100)).tolist()
        return Latency(
            batch_size=1,
            median_ms=float(np.median(samples)),
            samples_ms=samples,
            threads=1,
            provider="x",
        )

    assert speedup(latency(2.0, 0), latency(1.0, 1)).verdict == "faster"
    assert speedup(latency(1.0, 0), latency(2.0, 1)).verdict == "slower"
    assert speedup(latency(1.0, 0), latency(1.0, 1)).verdict == "same"


def test_a_wider_model_is_measured_slower_in_the_same_loop():
    times = measure_latency(
        {"dense": trained(), "convolutional": trained("convolutional")},
        Split({"x": splits()["x_test"][:8]}, None),
        batch_sizes=(64,),
        seconds=1.0,
    )
    assert speedup(times["convolutional"][0], times["dense"][0]).verdict == "faster"


def test_a_runner_answers_every_row_whatever_the_batches():
    split = Split({"x": splits()["x_test"]}, None)
    runner = Runner(trained())
    np.testing.assert_allclose(
        runner.predict(split, batch_size=7), runner.predict(split, batch_size=400), atol=1e-5
    )


def test_what_a_model_takes_is_read_from_its_file():
    (spec,) = Runner(trained()).inputs
    assert (spec.name, spec.dtype, spec.shape) == ("x", np.dtype(np.float32), (None, 64))


def test_a_file_that_onnxruntime_does_not_load_is_refused_in_its_words():
    with pytest.raises(ModelInvalid, match="onnxruntime"):
        Runner(b"not a model")


def test_a_file_of_which_onnxruntime_loses_an_output_is_refused_as_any_other():
    """It fuses a convolution that is answered with the sum and activation behind, and ends in a bare RuntimeError."""
    model = net(
        """g (float[N, 3, 8, 8] x, float[4] b1, float[4] b2) => (float[N, 4, 6, 6] y, float[N, 4, 6, 6] c) {
            c = Conv(x, w1, b1) d = Conv(x, w2, b2) a = Add(c, d) y = Relu(a)
        }""",
        {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 3, 3, 3), "b2": (4,)},
    )
    with pytest.raises(ModelInvalid, match="onnxruntime does not load the model"):
        open_session(model)
