"""Without labels the answers say what they are: each kind, and the neighbour that looks like it and is not."""

from typing import ClassVar

import numpy as np
import onnxruntime
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import jaccard_score

from spectral_engine.data_check import check
from spectral_engine.errors import DatasetMismatch, InvalidRequest
from spectral_engine.measure.metrics import metric_rule
from spectral_engine.preparation.prepare import prepare
from spectral_engine.records.recipe import Recipe
from tests.support.unlabelled_nets import FEATURES, SIDE, of_pixels, of_rows

RNG = np.random.default_rng(0)
ROWS, CHANNELS = 160, 3
X = RNG.normal(size=(400, FEATURES)).astype(np.float32)
IMAGES = RNG.normal(size=(ROWS, CHANNELS, SIDE, SIDE)).astype(np.float32)
MIX = np.eye(CHANNELS)
WIDE = RNG.normal(size=(FEATURES, 16))
SOFTMAX, SIGMOID = ("Softmax", {"axis": 1}), ("Sigmoid", {})
CHANNELS_LAST = ("Transpose", {"perm": [0, 2, 3, 1]})
UNIT = ("LpNormalization", {"axis": 1, "p": 2})
SHARP = 12.0


def prepared(tmp_path, model, x, **recipe):
    np.savez(tmp_path / "d.npz", x=x)
    return prepare(model, tmp_path / "d.npz", Recipe(**recipe), label=None, preprocessing=None)


def answers(model, x):
    return onnxruntime.InferenceSession(model).run(None, {"x": x})[0]


def flow() -> np.ndarray:
    """Two directions that know nothing of each other, far apart in units of pixels."""
    return RNG.normal(size=(CHANNELS, 2)) * 20


def colours() -> np.ndarray:
    """Three colours of 0 to 255, that are bright together."""
    return np.ones((CHANNELS, 3)) * 60 + RNG.normal(size=(CHANNELS, 3)) * 8


MAPS = {
    "Softmax": (of_pixels(MIX * 3, None, [SOFTMAX]), "miou", "classes"),
    "Softmax, channels last": (
        of_pixels(
            MIX * 3, None, [CHANNELS_LAST, ("Softmax", {"axis": 3})], shape=(SIDE, SIDE, CHANNELS)
        ),
        "miou",
        "classes",
    ),
    "logits of sure classes": (of_pixels(MIX * SHARP - SHARP / 3), "miou", "classes"),
    "logits by name": (of_pixels(MIX, name="segmentation"), "miou", "classes"),
    "a sharp sigmoid": (of_pixels(MIX[:, :1] * SHARP, None, [SIGMOID]), "miou", "scores"),
    "a sharp sigmoid without a channel": (
        of_pixels(
            MIX[:, :1] * SHARP,
            None,
            [SIGMOID, ("Squeeze", {"constants": {"axes": np.array([1], np.int64)}})],
            shape=(SIDE, SIDE),
        ),
        "miou",
        "scores",
    ),
    "a sharp sigmoid for each mask": (
        of_pixels(MIX * SHARP, None, [SIGMOID]),
        "miou",
        "scores",
    ),
    "a soft sigmoid": (of_pixels(MIX[:, :1] * 0.5, None, [SIGMOID]), "r2", "numbers"),
    "a soft sigmoid that is called a mask": (
        of_pixels(MIX[:, :1] * 0.5, None, [SIGMOID], name="mask"),
        "miou",
        "scores",
    ),
    "a sharp sigmoid that is called a reconstruction": (
        of_pixels(MIX[:, :1] * SHARP, None, [SIGMOID], name="reconstruction"),
        "r2",
        "numbers",
    ),
    "a depth": (of_pixels(MIX[:, :1] * 2, np.array([20.0])), "r2", "numbers"),
    "heights on both sides of 0": (of_pixels(MIX[:, :1] * 50), "r2", "numbers"),
    "a flow": (of_pixels(flow()), "r2", "numbers"),
    "colours": (of_pixels(colours(), np.full(3, 128.0)), "r2", "numbers"),
}


@pytest.mark.parametrize("kind", MAPS)
def test_maps_are_judged_by_what_their_pixels_are(tmp_path, kind):
    model, metric, form = MAPS[kind]
    setup = prepared(tmp_path, model, IMAGES)
    assert (setup.evaluation.metric, setup.meaning.kind) == (metric, form)
    assert setup.evaluation.validation_metric(setup.original) == pytest.approx(1.0)
    assert any(setup.evaluation.metric.replace("miou", "IoU") in why for why in setup.meaning.why)


def test_masks_that_lie_in_two_heaps_are_masks_before_their_sigmoid_too(tmp_path):
    """Both heaps are far from 0, as a net leaves them that was trained by cross-entropy."""
    images = IMAGES + np.sign(IMAGES) * 2
    setup = prepared(tmp_path, of_pixels(MIX[:, :1] * 4), images)
    assert (setup.evaluation.metric, setup.meaning.layout.threshold) == ("miou", 0.0)


def test_an_autoencoder_of_black_and_white_images_repeats_its_input(tmp_path):
    black_and_white = (IMAGES > 0).astype(np.float32)
    model = of_pixels(MIX * 8, np.full(CHANNELS, -4.0), [SIGMOID])
    setup = prepared(tmp_path, model, black_and_white)
    assert setup.evaluation.metric == "r2"


ROWWISE = {
    "Softmax": (of_rows(WIDE, None, [SOFTMAX]), "agreement"),
    "Softmax of steps": (
        of_rows(WIDE, None, [("Softmax", {"axis": 2})], shape=(4, 4)),
        "agreement",
    ),
    "Softmax on two empty axes": (
        of_rows(WIDE, None, [SOFTMAX], shape=(16, 1, 1)),
        "agreement",
    ),
    "rows of length 1": (of_rows(WIDE, None, [UNIT]), "rank_agreement"),
    "rows of another length, from a norm": (
        of_rows(WIDE, None, [("LpNormalization", {"axis": 1, "p": 1})]),
        "rank_agreement",
    ),
    "an embedding by name": (of_rows(WIDE, name="sentence_embedding"), "rank_agreement"),
    "pooled features on two empty axes": (
        of_rows(WIDE, name="pooled", shape=(16, 1, 1)),
        "rank_agreement",
    ),
    "a direction in space": (of_rows(WIDE[:, :3], None, [UNIT]), "r2"),
    "many numbers": (of_rows(WIDE * 0.1), "r2"),
    "logits by name, of length 1": (of_rows(WIDE, None, [UNIT], name="logits"), "agreement"),
    "features of each step": (of_rows(WIDE, name="features", shape=(4, 4)), "r2"),
}


@pytest.mark.parametrize("kind", ROWWISE)
def test_rows_are_judged_by_what_they_are(tmp_path, kind):
    model, metric = ROWWISE[kind]
    setup = prepared(tmp_path, model, X)
    assert setup.evaluation.metric == metric
    assert setup.evaluation.validation_metric(setup.original) == pytest.approx(1.0)


class TestFigures:
    """The figures are those of others, of a model that answers somewhat differently."""

    def value(self, setup, other):
        """The product's metric of other answers to the validation rows."""
        return setup.evaluation.validation_score(other)

    def of_both(self, tmp_path, one, two, x):
        setup = prepared(tmp_path, one, x)
        seen = setup.splits.validation.inputs["x"]
        return setup, answers(one, seen), answers(two, seen)

    def test_classes_of_pixels(self, tmp_path):
        other = MIX * 3 + RNG.normal(size=MIX.shape)
        one, two = (of_pixels(w, None, [SOFTMAX]) for w in (MIX * 3, other))
        setup, mine, theirs = self.of_both(tmp_path, one, two, IMAGES)
        truth, predicted = mine.argmax(1).ravel(), theirs.argmax(1).ravel()
        expected = jaccard_score(truth, predicted, average="macro")
        assert self.value(setup, theirs) == pytest.approx(expected)
        assert expected < 0.95

    def test_one_mask_has_a_background(self, tmp_path):
        other = MIX[:, :1] * SHARP + RNG.normal(size=(CHANNELS, 1)) * 4
        one, two = (of_pixels(w, None, [SIGMOID]) for w in (MIX[:, :1] * SHARP, other))
        setup, mine, theirs = self.of_both(tmp_path, one, two, IMAGES)
        truth, predicted = (part.ravel() > 0.5 for part in (mine, theirs))
        expected = jaccard_score(truth, predicted, average="macro")
        assert self.value(setup, theirs) == pytest.approx(expected)

    def test_each_mask_of_several_counts_alike_however_small(self, tmp_path):
        bias = np.array([0.0, -10.0, -20.0])
        other = MIX * SHARP + RNG.normal(size=MIX.shape) * 4
        one, two = (of_pixels(w, bias, [SIGMOID]) for w in (MIX * SHARP, other))
        setup, mine, theirs = self.of_both(tmp_path, one, two, IMAGES)
        expected = np.mean(
            [jaccard_score(mine[:, k].ravel() > 0.5, theirs[:, k].ravel() > 0.5) for k in range(3)]
        )
        assert self.value(setup, theirs) == pytest.approx(expected)

    def test_the_order_of_neighbours(self, tmp_path):
        other = WIDE + RNG.normal(size=WIDE.shape)
        one, two = (of_rows(w, None, [UNIT]) for w in (WIDE, other))
        setup, mine, theirs = self.of_both(tmp_path, one, two, X)
        rows = len(mine)
        anchors = np.linspace(0, rows - 1, rows // 4).round().astype(int)
        others = np.setdiff1d(np.arange(rows), anchors)
        orders = [e[others] @ e[anchors].T for e in (mine, theirs)]  # cosines: rows have length 1
        correlations = [spearmanr(a, b).statistic for a, b in zip(*orders, strict=True)]
        expected = (1 + np.mean(correlations)) / 2
        assert self.value(setup, theirs) == pytest.approx(expected, abs=1e-4)
        assert expected < 0.98


class TestSaid:
    """What the user says wins over what the answers look like."""

    @pytest.mark.parametrize(
        ("model", "x", "recipe", "metric"),
        [
            (of_rows(WIDE, None, [SOFTMAX]), X, {"task": "regression"}, "r2"),
            (of_rows(WIDE, None, [SOFTMAX]), X, {"metric": "r2"}, "r2"),
            (of_rows(WIDE), X, {"labels": {"task": "embedding"}}, "rank_agreement"),
            (of_rows(WIDE * 0.1), X, {"task": "classification"}, "agreement"),
            (of_rows(WIDE, None, [UNIT]), X, {"metric": "r2"}, "r2"),
            (of_rows(WIDE, None, [SOFTMAX]), X, {"metric": "rank_agreement"}, "rank_agreement"),
            (of_pixels(MIX * 3, None, [SOFTMAX]), IMAGES, {"metric": "agreement"}, "agreement"),
            (of_pixels(MIX * 3, None, [SOFTMAX]), IMAGES, {"task": "regression"}, "r2"),
            (of_pixels(MIX), IMAGES, {"task": "classification"}, "miou"),
            (of_pixels(MIX), IMAGES, {"metric": "miou"}, "miou"),
            (of_pixels(MIX[:, :1]), IMAGES, {"metric": "dice"}, "dice"),
            (of_pixels(MIX[:, :1]), IMAGES, {"task": "binary"}, "miou"),
        ],
    )
    def test_it_wins(self, tmp_path, model, x, recipe, metric):
        assert prepared(tmp_path, model, x, **recipe).evaluation.metric == metric

    def test_what_the_answers_cannot_be_is_refused_with_their_shape(self, tmp_path):
        with pytest.raises(InvalidRequest, match=r"classification.*\[1\]") as refused:
            prepared(tmp_path, of_rows(WIDE[:, :1]), X, task="classification")
        assert refused.value.pointer == "#/recipe/task"

    def test_a_metric_of_labels_is_refused(self, tmp_path):
        with pytest.raises(InvalidRequest, match="needs labels"):
            prepared(tmp_path, of_pixels(MIX * 3, None, [SOFTMAX]), IMAGES, metric="accuracy")


class TestAMetricThatCannotMove:
    """Where every row gets the same decisions, only what lies behind them tells models apart."""

    ON_AND_OFF = np.array([4.0, -4.0, 4.0, -4.0])
    FLOOR: ClassVar = {"target": {"max_metric_drop": 0.05}}

    def test_labels_that_are_always_on_or_off_are_compared_as_numbers(self, tmp_path):
        model = of_rows(WIDE[:, :4] * 0.1, self.ON_AND_OFF, [SIGMOID])
        setup = prepared(tmp_path, model, X, **self.FLOOR)
        assert (setup.evaluation.metric, setup.meaning.kind) == ("r2", "numbers")
        assert "r2 is taken instead" in setup.splits.summary.meaning.why[-1]
        assert "agreement" in setup.splits.summary.meaning.why[-1]

    def test_a_mask_that_is_the_same_for_every_image_too(self, tmp_path):
        """Each channel is on everywhere or nowhere."""
        model = of_pixels(MIX * 0.1, np.array([8.0, -8.0, 8.0]), [SIGMOID], name="masks")
        setup = prepared(tmp_path, model, IMAGES, **self.FLOOR)
        assert setup.evaluation.metric == "r2"

    def test_maps_of_one_class_too(self, tmp_path):
        model = of_pixels(MIX * 0.1, np.array([8.0, 0.0, 0.0]), [SOFTMAX])
        setup = prepared(tmp_path, model, IMAGES, **self.FLOOR)
        assert setup.evaluation.metric == "r2"

    def test_a_class_that_covers_nearly_everything_leaves_iou_to_the_others(self, tmp_path):
        model = of_pixels(MIX * 3, np.array([9.0, 0.0, 0.0]), [SOFTMAX])
        setup = prepared(tmp_path, model, IMAGES, **self.FLOOR)
        share = (answers(model, IMAGES).argmax(1) == 0).mean()
        assert share > 0.9
        assert setup.evaluation.metric == "miou"

    def test_too_few_rows_for_neighbours_are_compared_as_numbers(self, tmp_path):
        setup = prepared(tmp_path, of_rows(WIDE, None, [UNIT]), X[:40])
        assert setup.evaluation.metric == "r2"
        assert "rank_agreement needs 12 rows" in setup.meaning.why[-1]

    def test_what_is_asked_for_stays_and_a_floor_in_it_is_refused(self, tmp_path):
        model = of_pixels(MIX * 0.1, np.array([8.0, 0.0, 0.0]), [SOFTMAX])
        with pytest.raises(DatasetMismatch, match="max_metric_drop would mean nothing"):
            prepared(tmp_path, model, IMAGES, metric="miou", **self.FLOOR)

    def numbers_that_stand_still(self, tmp_path):
        """The target does not vary on the rows that candidates are chosen by."""
        targets = X @ WIDE[:, :1]
        parts = {"train": slice(0, 200), "val": slice(200, 300), "test": slice(300, 400)}
        arrays = {f"x_{name}": X[rows] for name, rows in parts.items()}
        arrays |= {f"y_{name}": targets[rows].astype(np.float32) for name, rows in parts.items()}
        arrays["y_val"][:] = 1.0
        np.savez(tmp_path / "d.npz", **arrays)
        return of_rows(WIDE[:, :1]), tmp_path / "d.npz"

    def test_a_unit_that_no_share_fits_refuses_the_floor(self, tmp_path):
        model, data = self.numbers_that_stand_still(tmp_path)
        data_check = check(model, data)
        assert data_check.metric == "mae"
        assert "a share is no unit of it" in data_check.still
        with pytest.raises(DatasetMismatch, match="a share is no unit of it"):
            prepare(model, data, Recipe(**self.FLOOR), label=None, preprocessing=None)

    def test_without_a_floor_the_job_goes_on_in_it(self, tmp_path):
        model, data = self.numbers_that_stand_still(tmp_path)
        recipe = Recipe(target={"keep_nodes": 0.5})
        setup = prepare(model, data, recipe, label=None, preprocessing=None)
        assert "r2: the target is the same in every row" in setup.meaning.why[-1]


def test_the_original_beside_itself_is_the_reference_and_no_figure(tmp_path):
    np.savez(tmp_path / "d.npz", x=X)
    words = str(check(of_rows(WIDE, None, [SOFTMAX]), tmp_path / "d.npz"))
    assert "original  the reference, by definition" in words
    assert "100" not in words.split("original  ")[1].splitlines()[0]


def test_masks_by_channel_are_those_of_sklearn_whatever_their_places():
    truth = RNG.random((20, 3, 5, 4)) < np.array([0.5, 0.1, 0.01])[:, None, None]
    predicted = RNG.random((20, 3, 5, 4)) < 0.4
    rule = metric_rule("miou", task="multilabel")
    rows = rule.rows(predicted - 0.5, truth - 0.5, "logits")
    expected = [jaccard_score(truth[:, k].ravel(), predicted[:, k].ravel()) for k in range(3)]
    assert rule.value(rows) == pytest.approx(np.mean(expected))
