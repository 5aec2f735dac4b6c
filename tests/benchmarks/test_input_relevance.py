"""Input relevance: the peers against closed forms of linear models, the curves against curves worked out by hand."""

import io

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.digits import export
from benchmarks.input_relevance import peers, summary
from benchmarks.input_relevance.curves import areas
from benchmarks.input_relevance.ours import OURS
from benchmarks.input_relevance.retrain import retrained
from benchmarks.input_relevance.start import Case
from benchmarks.quality.data import Data
from spectral_engine.graph.loading import load

pytestmark = pytest.mark.measured_in_full

WEIGHTS = np.array([2.0, -1.0, 0.5, 0.0], np.float32)


@pytest.fixture(scope="module")
def case():
    """A regression that is its own linear model: R² falls by each feature's share of the variance."""
    x = np.random.default_rng(0).normal(size=(2000, 4)).astype(np.float32)
    net = nn.Linear(4, 1)
    net.weight.data, net.bias.data = torch.from_numpy(WEIGHTS[None]), torch.zeros(1)
    file = io.BytesIO()
    export(net, torch.zeros(1, 4), file)
    rows = (x, x @ WEIGHTS[:, None])
    data = Data("california_housing", rows, rows, rows, outputs=1)
    return Case(data, load(file.getvalue()), seed=0)


def sizes(case) -> np.ndarray:
    """Mean |w_j (x_j − μ_j)|: what every one of these methods must find for a linear model."""
    x = case.explained().inputs["x"]
    return np.abs(WEIGHTS * (x - case.means.numpy())).mean(axis=0)


@pytest.mark.parametrize("method", [peers.integrated_gradients, peers.sampled_shapley])
def test_from_the_mean_attributions_of_a_linear_model_are_weight_times_distance(case, method):
    limit = peers.SAMPLED_ROWS if method is peers.sampled_shapley else None
    x = case.explained().inputs["x"][:limit]
    expected = np.abs(WEIGHTS * (x - case.means.numpy())).mean(axis=0)
    np.testing.assert_allclose(method(case).numpy(), expected, rtol=1e-3, atol=1e-5)


def test_expected_gradients_come_near_the_exact_shapley_values(case):
    np.testing.assert_allclose(peers.expected_gradients(case).numpy(), sizes(case), rtol=0.05)


def test_a_shuffled_column_costs_twice_its_share_of_the_variance(case):
    importances = peers.permutation(case).numpy()
    expected = 2 * WEIGHTS**2 * case.explained().inputs["x"].var(axis=0) / case.objective.scale
    np.testing.assert_allclose(importances, expected, rtol=0.1, atol=1e-3)


def test_areas_are_those_of_the_variance_that_is_left(case):
    shares = np.sort(WEIGHTS**2)[::-1] / (WEIGHTS**2).sum()
    kept = np.concatenate([[0], shares.cumsum()])
    curves = areas(case, torch.from_numpy(np.abs(WEIGHTS)), case.data.test)
    assert curves.kept == pytest.approx(np.trapezoid(kept, dx=0.25), abs=0.02)
    assert curves.removed == pytest.approx(np.trapezoid(1 - kept, dx=0.25), abs=0.02)


def test_a_worse_order_has_worse_areas_and_a_worse_retrained_net(case):
    right, wrong = torch.from_numpy(np.abs(WEIGHTS)), torch.from_numpy(-np.abs(WEIGHTS))
    first, second = (areas(case, order, case.data.test) for order in (right, wrong))
    assert first.removed < second.removed
    assert first.kept > second.kept
    again = retrained(case, {"right": right, "wrong": wrong}, case.data.test)
    assert again["right"] > again["wrong"] + 0.3


@pytest.mark.parametrize("name", OURS)
def test_every_reading_of_the_trained_eigenvalues_finds_the_order(case, name):
    assert OURS[name](case).argsort(descending=True).tolist() == [0, 1, 2, 3]


def row(**others):
    methods = {"ours": (0.2, 0.8, 0.8), "λ_in alone": (0.1, 0.9, 0.9), **others}
    keys = ("removed", "kept", "retrained")
    measured = {k: dict(zip(keys, v, strict=True), seconds=0.5) for k, v in methods.items()}
    return {"data": "spam", "seed": 0, "features": 3, "model": 0.9, "methods": measured}


def test_ours_is_behind_where_any_other_method_is_better_over_all():
    ahead, beaten = row(other=(0.3, 0.8, 0.7)), row(other=(0.1, 0.9, 0.8))
    assert summary.behind(ahead) < 0 < summary.behind(beaten)
    words = summary.in_words([ahead, beaten])
    assert "removed 0.200, best other 0.200 (other)" in words
    assert "in 1 of 2 models" in words


def test_the_table_of_methods_has_the_best_first_and_times_beside_ours():
    head, *lines = summary.by_method([row(other=(0.3, 0.8, 0.7))])
    assert [line[0] for line in lines] == ["λ_in alone", "ours", "other"]
    assert {line[-1] for line in lines} == {"1.00 ×"}
    assert len({len(line) for line in (head, *lines)}) == 1
