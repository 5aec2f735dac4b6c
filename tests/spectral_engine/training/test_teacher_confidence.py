"""The original's answers weigh on a row what the original gives to the row's label."""

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, softmax

from spectral_engine.graph.head import Head
from spectral_engine.training.objective import Objective

RANDOM = np.random.default_rng(0)
ANSWER, ORIGINAL = RANDOM.normal(size=(2, 6, 4)).astype(np.float32) * 3
LABELS = np.array([0, 1, 2, 3, 0, 1])


def objective(task, distill=0.5, **more):
    return Objective(task, Head("y", "y", None), distill, 2.0, 1.0, **more)


def loss(made, answer, labels, original):
    values, told = {"y": torch.tensor(answer)}, {"y": torch.tensor(original)}
    return float(made.loss(values, torch.tensor(labels), told))


def test_a_loss_by_classes_is_that_of_the_formula():
    hard = -log_softmax(ANSWER, 1)[range(6), LABELS]
    told = log_softmax(ORIGINAL / 2, 1)
    soft = 4 * (np.exp(told) * (told - log_softmax(ANSWER / 2, 1))).sum(1)
    trust = 0.5 * softmax(ORIGINAL, 1)[range(6), LABELS]
    expected = ((1 - trust) * hard + trust * soft).mean()
    assert loss(objective("classification"), ANSWER, LABELS, ORIGINAL) == pytest.approx(
        expected, rel=1e-5
    )


def test_an_original_that_is_sure_of_another_class_is_not_heard():
    wrong = np.full((6, 4), -50.0, np.float32)
    wrong[range(6), (LABELS + 1) % 4] = 50.0
    alone = loss(objective("classification", 0.0), ANSWER, LABELS, wrong)
    assert loss(objective("classification"), ANSWER, LABELS, wrong) == pytest.approx(
        alone, rel=1e-6
    )


def test_each_answer_of_yes_or_no_is_weighed_by_itself():
    labels = RANDOM.integers(0, 2, size=(6, 4))
    said = expit(ORIGINAL)
    trust = 0.5 * np.where(labels == 1, said, 1 - said)

    def cross(target):
        return -(target * np.log(expit(ANSWER)) + (1 - target) * np.log(expit(-ANSWER)))

    expected = ((1 - trust) * cross(labels) + trust * cross(said)).mean()
    assert loss(objective("multilabel"), ANSWER, labels, ORIGINAL) == pytest.approx(
        expected, rel=1e-5
    )


def test_a_regression_hears_its_original_alike_on_all_rows():
    target = RANDOM.normal(size=(6, 4)).astype(np.float32)
    expected = (0.5 * (ANSWER - target) ** 2 + 0.5 * (ANSWER - ORIGINAL) ** 2).mean()
    assert loss(objective("regression"), ANSWER, target, ORIGINAL) == pytest.approx(
        expected, rel=1e-5
    )


def test_class_weights_leave_the_mean_row_at_one():
    plain = objective("classification", 0.0)
    weighed = objective("classification", 0.0, class_weights=(2.0, 2.0, 2.0, 2.0))
    assert loss(weighed, ANSWER, LABELS, ORIGINAL) == pytest.approx(
        loss(plain, ANSWER, LABELS, ORIGINAL)
    )


def test_classes_of_every_step_have_the_originals_confidence_at_that_step():
    steps = ANSWER.reshape(2, 3, 4)  # [rows, steps, classes]
    made = objective("classification")
    flat = loss(made, ANSWER, LABELS, ORIGINAL)
    assert loss(made, steps, LABELS.reshape(2, 3), ORIGINAL.reshape(2, 3, 4)) == pytest.approx(
        flat, rel=1e-5
    )
