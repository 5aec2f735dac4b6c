"""Where a net stands between rows that it was trained on and rows that it never saw."""

import numpy as np
import pytest

from spectral_engine.measure.memory import (
    class_losses,
    number_losses,
    place_between,
    score_losses,
)

RANDOM = np.random.default_rng(0)


def about(mean: float, rows: int = 400) -> np.ndarray:
    return mean + 0.1 * RANDOM.standard_normal(rows)


def test_what_had_nothing_left_to_learn_and_is_forgotten_was_seen():
    standing = place_between(about(0.0), about(0.2))
    assert standing.value == pytest.approx(0.0, abs=0.1)
    assert standing.remembers


def test_what_is_learned_and_not_forgotten_was_never_seen():
    standing = place_between(about(0.2), about(0.0))
    assert standing.value == pytest.approx(1.0, abs=0.1)
    assert not standing.remembers


@pytest.mark.parametrize("forgotten", [0.0, -0.01])
def test_where_nothing_is_learned_nor_forgotten_there_is_no_sign(forgotten):
    assert not place_between(about(0.0), about(forgotten, 20)).remembers


def test_an_overconfident_net_has_not_seen_the_rows():
    assert not place_between(about(0.0), about(0.2), temperature=2.0).remembers


def test_few_rows_are_no_sign():
    many, few = (place_between(about(0.05, n), about(0.1, n)) for n in (2000, 5))
    assert many.error < few.error


def test_at_the_threshold_itself_chance_gives_a_sign_in_one_of_twenty_draws():
    rng = np.random.default_rng(5)
    fall, rise = (mean + 0.2 * rng.standard_normal((2000, 400)) for mean in (0.12, 0.08))
    alarms = np.mean([place_between(*pair).remembers for pair in zip(fall, rise, strict=True)])
    assert alarms == pytest.approx(0.05, abs=0.02)


def test_confidence_alone_changes_no_loss():
    logits, labels = RANDOM.standard_normal((300, 4)), RANDOM.integers(0, 4, 300)
    logits[np.arange(300), labels] += 1
    (plain, calm), (loud, hot) = (class_losses(s * logits, labels, "logits") for s in (1.0, 4.0))
    assert loud.mean() == pytest.approx(plain.mean(), rel=1e-2)
    assert hot == pytest.approx(4 * calm, rel=0.15)


def test_labels_that_do_not_count_are_left_out():
    logits, labels = RANDOM.standard_normal((50, 6, 3)), RANDOM.integers(0, 3, (50, 6))
    ignored = labels.copy()
    ignored[:, 3:] = -1
    np.testing.assert_allclose(
        class_losses(logits, ignored, "logits")[0],
        class_losses(logits[:, :3], labels[:, :3], "logits")[0],
    )


def test_yes_and_no_are_two_classes_and_probabilities_are_taken_as_such():
    scores, labels = RANDOM.standard_normal(200), RANDOM.integers(0, 2, 200)
    as_classes, _ = class_losses(np.stack([0 * scores, scores], 1), labels, "logits")
    np.testing.assert_allclose(score_losses(scores, labels, "logits")[0], as_classes)
    shares = 1 / (1 + np.exp(-scores)) - 0.5
    np.testing.assert_allclose(score_losses(shares, labels, "probabilities")[0], as_classes)
    both = np.stack([0.5 - shares, 0.5 + shares], 1)
    np.testing.assert_allclose(class_losses(both, labels, "probabilities")[0], as_classes)


def test_numbers_lose_by_their_squared_distance():
    assert number_losses(np.array([[1.0, 3.0]]), np.array([[0.0, 0.0]])).tolist() == [5.0]
