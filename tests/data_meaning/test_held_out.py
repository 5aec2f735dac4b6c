"""How many rows are held out for a floor: more than usual only where labels may be answers that are right or wrong."""

import numpy as np
import pytest

from spectral_engine.meaning.countable import countable
from spectral_engine.preparation.prepare import prepare
from spectral_engine.records.recipe import Recipe
from tests.support.unlabelled_nets import FEATURES, of_rows

RNG = np.random.default_rng(0)
ROWS = 1000  # a floor of one point needs 374 of them
X = RNG.normal(size=(ROWS, FEATURES)).astype(np.float32)
MIX = RNG.normal(size=(FEATURES, 5))
SCORES = X @ MIX
COUNTS = (SCORES[:, 0] * 40).round().astype(np.int64)
BOXES = (SCORES * 20 + 200).round().astype(np.int64)
ONE, FIVE = of_rows(MIX[:, :1] * 40), of_rows(MIX * 20, np.full(5, 200.0))


def held_out(tmp_path, model, y, **recipe) -> float:
    np.savez(tmp_path / "d.npz", x=X, y=y)
    asked = Recipe(target={"max_metric_drop": 0.01}, **recipe)
    setup = prepare(model, tmp_path / "d.npz", asked, label=None, preprocessing=None)
    return setup.splits.test.rows / ROWS


@pytest.mark.parametrize(
    ("model", "labels"),
    [(ONE, COUNTS), (ONE, COUNTS[:, None]), (FIVE, BOXES)],
    ids=["counts", "a column of counts", "five numbers of a box"],
)
def test_whole_numbers_that_are_no_classes_leave_the_usual_share(tmp_path, model, labels):
    assert held_out(tmp_path, model, labels) == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize(
    "labels",
    [SCORES.argmax(1), np.eye(5, dtype=np.int64)[SCORES.argmax(1)], (SCORES > 0).astype(int)],
    ids=["class numbers", "one-hot", "several yes or no"],
)
def test_classes_get_as_many_as_show_it(tmp_path, labels):
    assert held_out(tmp_path, of_rows(MIX), labels) == pytest.approx(0.374, abs=0.01)


def test_a_task_that_is_said_decides(tmp_path):
    labels = (SCORES[:, 0] > 0).astype(np.int64)
    assert held_out(tmp_path, ONE, labels, task="binary") > 0.3
    said = {"task": "regression", "allow_poor_original": True}  # its units are others
    assert held_out(tmp_path, ONE, labels, **said) == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize(
    ("shape", "values", "answers", "expected"),
    [
        ((), 10, (10,), True),
        ((), 10, (None,), True),
        ((), 600, (1000,), True),  # many classes, and as many outputs
        ((), 600, (None,), False),
        ((), 11, (10,), False),
        ((), 2, (1,), True),
        ((), 3, (1,), False),
        ((4, 4), 3, (3, 4, 4), True),
        ((4, 4), 4, (3, 4, 4), True),  # one value is not counted
        ((4, 4), 5, (3, 4, 4), False),
        ((4, 4), 3, (4, 4, 3), True),
        ((4, 4), 3, (3, None, None), True),
        ((1, 4, 4), 2, (1, 4, 4), True),
        ((4, 4), 200, (1, 4, 4), False),  # a depth
        ((7, 5), 90, (84, 100), False),  # boxes beside a detector
        ((7, 5), 90, (7, 6), False),
        ((4, 4, 3), 2, (3, 4, 4), True),  # one-hot, classes last
    ],
)
def test_labels_count_where_values_and_shapes_go_with_the_answers(shape, values, answers, expected):
    labels = np.arange(1200 * max(1, int(np.prod(shape)))).reshape(1200, *shape) % values
    assert countable(labels, [answers]) is expected


def test_texts_count_where_they_stand_more_than_once():
    assert countable(np.array(["cat", "dog"] * 9), [(2,)])
    assert not countable(np.array([f"plate {n}" for n in range(18)]), [(2,)])
