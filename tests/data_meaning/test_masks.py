"""Masks as pictures hold them: grey values and colours, told by the model's own answers."""

import numpy as np
import pytest

from spectral_engine.errors import DatasetMismatch
from spectral_engine.preparation.prepare import prepare
from spectral_engine.records.recipe import Recipe
from tests.support.label_cases import FEATURES, ROWS, X, linear

RANDOM = np.random.default_rng(3)
HEIGHT, WIDTH = 5, 6
PALETTE = np.array([[128, 0, 0], [0, 0, 0], [0, 128, 0], [224, 224, 192]], np.uint8)  # as of VOC
NAMES = ["#800000", "#000000", "#008000"]


def net(classes: int, classes_last=False):
    """A model that answers maps, and its own classes [n, h, w], of which a tenth is then changed."""
    shape = (HEIGHT, WIDTH, classes) if classes_last else (classes, HEIGHT, WIDTH)
    weights = RANDOM.normal(size=(FEATURES, int(np.prod(shape)))).astype(np.float32)
    answers = (X @ weights).reshape(ROWS, *shape)
    axis = 3 if classes_last else 1
    answered = (answers > 0)[:, 0].astype(int) if classes == 1 else answers.argmax(axis)
    wrong = RANDOM.random(answered.shape) < 0.1
    truth = np.where(wrong, RANDOM.integers(0, max(2, classes), answered.shape), answered)
    return linear(weights, [], shape), answered, truth


def understood(tmp_path, content, y, x=X, **recipe):
    np.savez(tmp_path / "d.npz", x=x, y=y)
    return prepare(content, tmp_path / "d.npz", Recipe(**recipe))


def check_labels(setup, truth, counted=None):
    """All labels of all parts are the classes that are meant, and −1 where none counts."""
    rows = {row.tobytes(): index for index, row in enumerate(X)}
    expected = truth if counted is None else np.where(counted, truth, -1)
    for part in setup.splits.parts:
        indices = [rows[row.tobytes()] for row in part.inputs["x"]]
        np.testing.assert_array_equal(part.labels, expected[indices])


def test_three_grey_values_are_three_classes_in_order(tmp_path):
    content, _, truth = net(3)
    setup = understood(tmp_path, content, np.array([0, 128, 255], np.uint8)[truth])
    check_labels(setup, truth)
    assert setup.meaning.ignore is None


@pytest.mark.parametrize("grey", [100, 127, 128])
@pytest.mark.parametrize("classes", [1, 2], ids=["one score", "two classes"])
def test_grey_between_black_and_white_is_not_counted_where_the_model_knows_two(
    tmp_path, classes, grey
):
    content, _, truth = net(classes)
    counted = RANDOM.random(truth.shape) > 0.15
    masks = np.where(counted, 255 * truth, grey).astype(np.uint8)
    setup = understood(tmp_path, content, masks)
    assert setup.meaning.ignore == grey
    assert any(f"{grey} is not counted (1" in why for why in setup.meaning.why)
    check_labels(setup, truth, counted)


def test_a_stray_value_beside_class_numbers_is_not_counted(tmp_path):
    content, _, truth = net(3)
    counted = RANDOM.random(truth.shape) > 0.15
    setup = understood(tmp_path, content, np.where(counted, truth, 99))
    assert setup.meaning.ignore == 99
    check_labels(setup, truth, counted)


def test_a_class_that_the_model_does_not_have_is_never_left_out(tmp_path):
    """Numbers in a row are classes, all of them: one that the model does not know is no value to ignore."""
    content, _, truth = net(3)
    four = np.where(RANDOM.random(truth.shape) < 0.1, 3, truth)
    with pytest.raises(DatasetMismatch, match=r"4 values are more .* labels\.ignore") as refused:
        understood(tmp_path, content, four)
    assert "labels.classes" not in refused.value.detail
    setup = understood(tmp_path, content, four, labels={"ignore": 3})
    check_labels(setup, truth, four != 3)


def test_more_grey_values_than_classes_are_refused_without_an_order_of_them(tmp_path):
    content, _, truth = net(2)
    masks = np.array([0, 85, 170, 255])[2 * truth + (RANDOM.random(truth.shape) < 0.5)]
    with pytest.raises(DatasetMismatch, match="4 values are more than it can tell") as refused:
        understood(tmp_path, content, masks)
    assert "labels.classes" not in refused.value.detail


COLOURED = {
    "[n, h, w, 3]": lambda masks: masks,
    "[n, 3, h, w]": lambda masks: masks.transpose(0, 3, 1, 2),
    "[n, h, w, 4]": lambda masks: np.concatenate([masks, 255 + 0 * masks[..., :1]], axis=3),
    "floats": lambda masks: masks.astype(np.float32),
}


@pytest.mark.parametrize("classes_last", [False, True])
@pytest.mark.parametrize("form", COLOURED)
def test_colours_are_matched_with_the_classes(tmp_path, form, classes_last):
    content, answered, truth = net(3, classes_last)
    setup = understood(tmp_path, content, COLOURED[form](PALETTE[truth]))
    check_labels(setup, truth)
    assert list(setup.meaning.class_names) == NAMES
    assert setup.meaning.order == "matched"
    part = setup.splits.validation
    indices = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in part.inputs["x"]]
    expected = (answered == truth)[indices].mean()
    assert setup.evaluation.validation_metric(setup.original) == pytest.approx(expected, abs=1e-6)


def test_two_colours_are_yes_and_no_of_one_score(tmp_path):
    content, _, truth = net(1)
    check_labels(understood(tmp_path, content, PALETTE[truth]), truth)


@pytest.mark.parametrize("said", [{}, {"ignore": "#e0e0c0"}])
def test_a_colour_that_is_no_class_is_found_or_said(tmp_path, said):
    content, _, truth = net(3)
    counted = RANDOM.random(truth.shape) > 0.1
    masks = np.where(counted[..., None], PALETTE[truth], PALETTE[3])
    setup = understood(tmp_path, content, masks, labels=said)
    assert setup.meaning.ignore == "#e0e0c0"
    check_labels(setup, truth, counted)


def test_colours_may_be_said_in_the_order_of_the_outputs(tmp_path):
    content, _, truth = net(3)
    setup = understood(tmp_path, content, PALETTE[truth], labels={"classes": NAMES})
    assert setup.meaning.order == "given"
    check_labels(setup, truth)
    turned = [NAMES[1], NAMES[2], NAMES[0]]
    with pytest.raises(DatasetMismatch, match="in another order") as refused:
        understood(tmp_path, content, PALETTE[truth], labels={"classes": turned})
    assert '["#800000", "#000000", "#008000"]' in refused.value.detail


def test_colours_of_which_the_model_knows_nothing_are_refused_with_the_remedy(tmp_path):
    content, _, truth = net(3)
    strange = PALETTE[RANDOM.integers(0, 3, truth.shape)]
    with pytest.raises(DatasetMismatch, match="no assignment") as refused:
        understood(tmp_path, content, strange)
    assert '"#000000", "#008000", "#800000"' in refused.value.detail
    assert refused.value.pointer == "#/labels/classes"


def test_more_colours_than_classes_are_refused(tmp_path):
    content, _, truth = net(3)
    blurred = PALETTE[truth] + RANDOM.integers(0, 20, (*truth.shape, 3)).astype(np.uint8)
    with pytest.raises(DatasetMismatch, match=r"colours, and the model tells 3 classes apart.*PNG"):
        understood(tmp_path, content, blurred)


def test_pictures_that_the_model_answers_stay_pictures(tmp_path):
    """Three channels of black and white are numbers of an image model, however few colours they make."""
    weights = RANDOM.normal(size=(FEATURES, 3 * HEIGHT * WIDTH)).astype(np.float32)
    pictures = (X @ weights).reshape(ROWS, 3, HEIGHT, WIDTH)
    setup = understood(tmp_path, linear(weights, [], (3, HEIGHT, WIDTH)), pictures)
    assert setup.meaning.task == "regression"
