"""Every metric against somebody else's: scikit-learn's, COCO's, scipy's, or one written out by hand."""

import io
from contextlib import redirect_stdout

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.special import expit, softmax
from scipy.stats import spearmanr
from sklearn import metrics as reference

from spectral_engine.errors import DatasetMismatch, InvalidRequest
from spectral_engine.measure.metrics import metric_rule, per_class
from tests.support.metric_cases import case

seeds = given(st.integers(0, 2**16))
some = settings(deadline=None, max_examples=15)


def value(name, answers, labels, form="logits", **options):
    rule = metric_rule(name, **options)
    return rule.value(rule.rows(answers, labels, form))


def drawn(seed, places=(), classes=7, ignored=0.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (80, *places))
    labels = np.where(rng.random(labels.shape) < ignored, -1, labels)
    return rng.normal(size=(*labels.shape, classes)) + np.eye(classes)[labels], labels


CLASS_ORACLES = {
    "accuracy": reference.accuracy_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
    "f1_macro": lambda y, p: reference.f1_score(y, p, average="macro"),
    "dice": lambda y, p: reference.f1_score(y, p, average="macro"),
    "miou": lambda y, p: reference.jaccard_score(y, p, average="macro"),
    "agreement": reference.accuracy_score,
}


@some
@given(st.integers(0, 2**16), st.sampled_from(sorted(CLASS_ORACLES)))
def test_figures_of_classes_are_those_of_all_places_that_count(seed, name):
    answers, labels = drawn(seed, places=(4, 5), ignored=0.2)
    counted = labels >= 0
    expected = CLASS_ORACLES[name](labels[counted], answers.argmax(-1)[counted])
    assert value(name, answers, labels) == pytest.approx(expected)


@some
@given(st.integers(0, 2**16), st.sampled_from(sorted(CLASS_ORACLES)))
def test_one_score_a_place_is_on_above_0(seed, name):
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 2, (40, 6, 5))
    answers = rng.normal(size=labels.shape) + labels
    truth, decided = labels[labels >= 0], (answers > 0)[labels >= 0]
    expected = CLASS_ORACLES[name](truth, decided)
    if name == "dice":  # of what is on
        expected = reference.f1_score(truth, decided)
    assert value(name, answers, labels, task="binary") == pytest.approx(expected)


@some
@seeds
def test_labels_among_many_are_columns_of_their_own(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (60, 5))
    answers = rng.normal(size=labels.shape) + labels
    on = (answers > 0).astype(int)
    columns = list(zip(labels.T, on.T, strict=True))
    expected = {
        "accuracy": (labels == on).mean(),
        "f1_macro": reference.f1_score(labels, on, average="macro"),
        "miou": reference.jaccard_score(labels, on, average="macro"),
        "balanced_accuracy": np.mean([reference.balanced_accuracy_score(*c) for c in columns]),
        "auc": reference.roc_auc_score(labels, answers, average="macro"),
        "log_loss": np.mean(
            [reference.log_loss(y, expit(a)) for y, a in zip(labels.T, answers.T, strict=True)]
        ),
    }
    for name, figure in expected.items():
        assert value(name, answers, labels) == pytest.approx(figure), name


@some
@seeds
def test_the_five_strongest_classes_are_scikit_learns(seed):
    answers, labels = drawn(seed, classes=9)
    expected = reference.top_k_accuracy_score(labels, answers, k=5, labels=range(9))
    assert value("top5", answers, labels) == pytest.approx(expected)


def test_a_constant_model_has_no_more_than_five_of_twenty_classes_right():
    labels = np.arange(100) % 20
    assert value("top5", np.zeros((100, 20)), labels) == pytest.approx(5 / 20)


@some
@given(st.integers(0, 2**16), st.sampled_from(["logits", "probabilities", "log_probabilities"]))
def test_log_loss_and_auc_are_scikit_learns_in_every_form(seed, form):
    logits, labels = drawn(seed, classes=4)
    shares = softmax(logits, axis=1)
    answers = {"logits": logits, "probabilities": shares, "log_probabilities": np.log(shares)}[form]
    assert value("log_loss", answers, labels, form) == pytest.approx(
        reference.log_loss(labels, shares)
    )
    assert value("auc", answers, labels, form) == pytest.approx(
        reference.roc_auc_score(labels, shares, multi_class="ovr")
    )


@some
@given(st.integers(0, 2**16), st.sampled_from(["logits", "probabilities"]))
def test_of_one_score_too(seed, form):
    rng = np.random.default_rng(seed)
    labels = np.arange(50) % 2
    logits = (rng.normal(size=50) + labels).round(1)  # with ties
    answers = logits if form == "logits" else expit(logits) - 0.5
    assert value("log_loss", answers, labels, form) == pytest.approx(
        reference.log_loss(labels, expit(logits))
    )
    assert value("auc", answers, labels, form) == pytest.approx(
        reference.roc_auc_score(labels, logits)
    )


def test_auc_over_pixels_is_that_of_all_pixels_but_for_ties_within_a_level():
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 2, (30, 20, 20))
    answers = rng.normal(size=labels.shape) + labels
    expected = reference.roc_auc_score(labels[labels >= 0], answers[labels >= 0])
    assert value("auc", answers, labels, task="binary") == pytest.approx(expected, abs=1e-3)


NUMBER_ORACLES = {
    "mse": reference.mean_squared_error,
    "mae": reference.mean_absolute_error,
    "mape": reference.mean_absolute_percentage_error,
    "r2": reference.r2_score,
    "quantile_loss": lambda y, p: reference.mean_pinball_loss(y, p, alpha=0.9),
}


@some
@given(st.integers(0, 2**16), st.sampled_from(sorted(NUMBER_ORACLES)), st.booleans())
def test_figures_of_numbers_are_scikit_learns(seed, name, several):
    rng = np.random.default_rng(seed)
    labels = rng.uniform(1, 5, (70, 3) if several else 70)
    answers = labels + rng.normal(size=labels.shape)
    expected = NUMBER_ORACLES[name](labels, answers)
    assert value(name, answers, labels, "values", quantiles=(0.9,)) == pytest.approx(expected)


def test_a_column_that_does_not_vary_is_left_out_of_r2():
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(70, 3))
    labels[:, 1] = 1e6
    answers = labels + 0.5 * rng.normal(size=labels.shape)
    expected = reference.r2_score(labels[:, [0, 2]], answers[:, [0, 2]])
    assert value("r2", answers, labels, "values") == pytest.approx(expected)


def test_r2_of_maps_takes_all_their_entries_as_one_sample():
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(20, 3, 8, 8)) + 5
    answers = labels + 0.5 * rng.normal(size=labels.shape)
    expected = reference.r2_score(labels.ravel(), answers.ravel())
    assert value("r2", answers, labels, "values") == pytest.approx(expected)


def test_a_percentage_of_a_target_of_0_is_refused():
    with pytest.raises(InvalidRequest, match="1 of 3 targets are 0"):
        value("mape", np.ones(3), np.array([1.0, 0.0, 2.0]), "values")


def test_targets_of_another_width_are_refused_with_both_shapes():
    with pytest.raises(DatasetMismatch, match=r"\[4, 2\].*\[4, 3\]"):
        value("mse", np.zeros((4, 3)), np.zeros((4, 2)), "values")
    with pytest.raises(DatasetMismatch, match=r"\[4, 5\].*\[4, 6, 3\]"):
        value("accuracy", np.zeros((4, 6, 3)), np.zeros((4, 5), int))


def edits(left, right):
    """Levenshtein's distance by the recurrence."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


@some
@given(st.integers(0, 2**16), st.sampled_from([0, -1]))
def test_character_errors_are_edits_over_characters(seed, blank):
    rng = np.random.default_rng(seed)
    answers = rng.normal(size=(20, 15, 5))
    labels = np.full((20, 6), -1)
    empty = blank % 5
    distance = length = 0
    for row in range(20):
        text = rng.permutation([k for k in range(5) if k != empty])[: rng.integers(0, 5)]
        labels[row, : len(text)] = text
        best, read = answers[row].argmax(-1), []
        for step, k in enumerate(best):
            if k != empty and (step == 0 or best[step - 1] != k):
                read.append(k)
        if len(text):
            distance, length = distance + edits(read, text), length + len(text)
    rule = metric_rule("cer", blank=blank)
    rows = rule.rows(answers, labels, "logits")
    assert rule.value(rows) == pytest.approx(distance / length)
    assert rows.dropped == (labels[:, 0] == -1).sum()


@some
@seeds
def test_the_similarity_of_pairs_is_ranked_as_scipy_does(seed):
    rng = np.random.default_rng(seed)
    answers, labels = rng.normal(size=(50, 2, 6)), rng.integers(0, 6, 50).astype(float)
    unit = answers / np.linalg.norm(answers, axis=-1, keepdims=True)
    expected = spearmanr((unit[:, 0] * unit[:, 1]).sum(-1), labels).statistic
    assert value("spearman", answers, labels, "values") == pytest.approx(expected)


def test_rank_agreement_is_how_alike_both_order_the_anchors():
    rng = np.random.default_rng(0)
    original = rng.normal(size=(40, 6))
    answers = original + rng.normal(size=original.shape)
    anchors = np.linspace(0, 39, 10).round().astype(int)
    shares = []
    for row in set(range(40)) - set(anchors):
        cosines = [
            part[anchors] @ part[row] / np.linalg.norm(part[anchors], axis=1)
            for part in (answers, original)
        ]
        shares.append((1 + spearmanr(*cosines).statistic) / 2)
    assert value("rank_agreement", answers, original, "values") == pytest.approx(np.mean(shares))
    assert value("rank_agreement", 3 * original, original, "values") == pytest.approx(1.0)
    assert value("rank_agreement", np.ones((40, 6)), original, "values") == pytest.approx(0.5)


def coco(answers, labels):
    """COCO's own figures: AP and AP50."""

    def data(images, score, kind):
        rows = [(image, box) for image, boxes in enumerate(images) for box in boxes]
        rows = [(image, box) for image, box in rows if box[4] != -1]
        annotated = COCO()
        annotated.dataset = {
            "images": [{"id": image} for image in range(len(images))],
            "categories": [{"id": k} for k in range(10)],
            "annotations": [
                {
                    "id": number + 1,
                    "image_id": image,
                    "category_id": int(-2 - box[kind] if box[kind] < 0 else box[kind]),
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "area": 1.0,
                    "iscrowd": int(box[kind] < 0),
                    "score": box[score],
                }
                for number, (image, box) in enumerate(rows)
            ],
        }
        annotated.createIndex()
        return annotated

    with redirect_stdout(io.StringIO()):
        judge = COCOeval(data(labels, 4, 4), data(answers, 4, 5), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats[0], judge.stats[1]


@settings(deadline=None, max_examples=8)
@seeds
def test_average_precision_is_cocos_also_of_images_that_are_drawn_twice(seed):
    example = case("map", seed)
    again = np.random.default_rng(seed).integers(0, 60, 60)
    expected = coco(example.good, example.labels), coco(example.good[again], example.labels[again])
    for figure, name in enumerate(("map", "map50")):
        rule = metric_rule(name)
        rows = rule.rows(example.good, example.labels, "values")
        assert rule.value(rows) == pytest.approx(expected[0][figure])
        assert rule.value(rows.take(again)) == pytest.approx(expected[1][figure])


def with_crowds(example, seed):
    """The labels, of which about a third has become crowds, with one large crowd in each fourth image."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([example.labels, np.full((60, 1, 5), -1.0)], axis=1)
    there = (labels[..., 4] >= 0) & (rng.random(labels.shape[:2]) < 0.3)
    labels[there, 4] = -2 - labels[there, 4]
    low, high = labels[labels[..., 4] != -1][:, :4].min(), labels[..., :4].max()
    labels[::4, -1] = low, low, (low + high) / 2, high, -2
    return labels


@settings(deadline=None, max_examples=8)
@seeds
def test_average_precision_ignores_crowds_as_coco_does(seed):
    example = case("map", seed)
    labels, again = with_crowds(example, seed), np.random.default_rng(seed).integers(0, 60, 60)
    expected = coco(example.good, labels), coco(example.good[again], labels[again])
    for figure, name in enumerate(("map", "map50")):
        rule = metric_rule(name)
        rows = rule.rows(example.good, labels, "values")
        assert rows["ignored"].any()
        assert rule.value(rows) == pytest.approx(expected[0][figure])
        assert rule.value(rows.take(again)) == pytest.approx(expected[1][figure])


def test_a_perfect_detector_finds_what_another_model_is_sure_of():
    example = case("map")
    assert value("map", example.good, example.good, "values") == pytest.approx(1.0)


def test_classes_have_their_recall_or_the_metrics_own_figure():
    answers, labels = drawn(0, places=(4, 5), classes=3, ignored=0.1)
    counted = labels >= 0
    truth, decided = labels[counted], answers.argmax(-1)[counted]
    names = ["sky", "road", "car"]
    recall = reference.recall_score(truth, decided, average=None)
    overlap = reference.jaccard_score(truth, decided, average=None)
    for name, expected in (("accuracy", recall), ("miou", overlap)):
        by_class = per_class(metric_rule(name), answers, labels, "logits", names)
        assert by_class == pytest.approx(dict(zip(names, expected, strict=True)))


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "top5", "miou", "auc", "log_loss"])
def test_rows_without_a_place_that_counts_are_dropped_and_counted(name):
    answers, labels = drawn(0, places=(6,))
    labels[[3, 40, 41]] = -1
    rule = metric_rule(name)
    rows = rule.rows(answers, labels, "logits")
    assert (len(rows), rows.dropped) == (77, 3)
    kept = np.setdiff1d(np.arange(80), [3, 40, 41])
    assert rule.value(rows) == pytest.approx(value(name, answers[kept], labels[kept]), abs=1e-3)


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "f1_macro", "miou"])
def test_what_is_no_number_is_no_answer(name):
    labels = np.zeros(20, int)
    labels[10:] = 1
    assert value(name, np.full((20, 2), np.nan), labels) == 0.0
    assert value("auc", np.full((20, 2), np.nan), labels) == 0.0
