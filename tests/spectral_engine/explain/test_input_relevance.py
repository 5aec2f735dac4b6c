"""Relevance of input features against data sets whose relevant features are known, and against finite differences."""

import io

import numpy as np
import pytest
import torch
from torch import nn

from spectral_engine.data import Split
from spectral_engine.explain.input_path import InputPath, input_means
from spectral_engine.explain.input_relevance import input_relevance
from spectral_engine.graph.head import Head
from spectral_engine.graph.loading import load
from spectral_engine.graph.module import OnnxModule
from spectral_engine.measure.runtime import Runner
from spectral_engine.training.feed import Feed
from spectral_engine.training.objective import Objective

pytestmark = pytest.mark.measured_in_full

FEATURES, RELEVANT = 20, 11  # as in arXiv:2406.01183
HEAD = Head("y", "y", None)
REGRESSION = Objective("regression", HEAD, 0.0, 1.0, 1.0)
CLASSES = Objective("classification", HEAD, 0.0, 1.0, 1.0)


def exported(net: nn.Module, **inputs: torch.Tensor) -> bytes:
    file = io.BytesIO()
    torch.onnx.export(
        net.eval(),
        tuple(inputs.values()),
        file,
        input_names=list(inputs),
        output_names=["y"],
        dynamic_axes={name: {0: "batch"} for name in (*inputs, "y")},
        dynamo=False,
    )
    return file.getvalue()


def imported(net: nn.Module, **inputs: torch.Tensor) -> OnnxModule:
    return load(exported(net, **inputs))


def feed(labels=None, **inputs):
    return Feed(Split(inputs, labels), 128, torch.device("cpu"))


def relevance(module, objective, rows, seed=0):
    return {name: v.numpy() for name, v in input_relevance(module, objective, rows, seed).items()}


def gaussians(correlation: float, rows: int = 4000) -> np.ndarray:
    """Correlated by `correlation` to the power of how far they stand apart, in an order that mixes both kinds."""
    places = np.random.default_rng(5).permutation(FEATURES)
    covariance = correlation ** np.abs(places[:, None] - places[None, :])
    drawn = np.random.default_rng(6).multivariate_normal(np.zeros(FEATURES), covariance, rows)
    return drawn.astype(np.float32)


def classes(x: np.ndarray) -> np.ndarray:
    """Two classes that 11 features decide, some of them by their size alone, and pairs of them together."""
    told = x[:, :4].sum(1) + 2 * np.abs(x[:, 4:8]).sum(1) - 2 * (x[:, 8:RELEVANT] < 0.3).sum(1)
    return (told > np.median(told)).astype(np.int64)


def trained_on(x: np.ndarray, y: np.ndarray) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 2)
    )
    data, labels = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.1)
    for _ in range(15):
        for rows in torch.randperm(len(y)).split(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(data[rows]), labels[rows]).backward()
            optimizer.step()
    return net


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_every_relevant_gaussian_stands_above_every_irrelevant_one(correlation):
    x = gaussians(correlation)
    y = classes(x)
    module = imported(trained_on(x, y), x=torch.zeros(1, FEATURES))
    scores = relevance(module, CLASSES, feed(y, x=x))["x"]
    assert scores[:RELEVANT].min() > scores[RELEVANT:].max()


def test_a_feature_that_never_changes_has_exactly_no_relevance():
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    x[:, 2] = 0.1
    scores = relevance(imported(nn.Linear(4, 1), x=torch.zeros(1, 4)), REGRESSION, feed(x=x))["x"]
    assert scores[2] == 0.0
    assert (np.delete(scores, 2) > 0).all()


def test_a_linear_model_ranks_its_features_by_weight_times_deviation():
    weights, deviations = np.array([3.0, -2.0, 1.0, 0.5]), np.array([0.5, 1.0, 3.0, 1.0])
    x = (np.random.default_rng(0).normal(size=(2000, 4)) * deviations).astype(np.float32)
    net = nn.Linear(4, 1)
    net.weight.data = torch.tensor(weights[None], dtype=torch.float32)
    scores = relevance(imported(net, x=torch.zeros(1, 4)), REGRESSION, feed(x=x))["x"]
    expected = np.argsort(-np.abs(weights) * deviations)
    np.testing.assert_array_equal(np.argsort(-scores), expected)


def test_units_and_zero_points_of_the_features_change_nothing():
    torch.manual_seed(1)
    x = np.random.default_rng(1).normal(size=(1000, 5)).astype(np.float32)
    plain = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3))
    in_other_units = nn.Sequential(nn.Linear(5, 16), *list(plain)[1:])
    scale, shift = (
        torch.tensor([1000.0, 0.01, 1.0, 8.0, 0.5]),
        torch.tensor([5.0, -0.2, 0, 30.0, 1.0]),
    )
    with torch.no_grad():
        in_other_units[0].weight.copy_(plain[0].weight / scale)
        in_other_units[0].bias.copy_(plain[0].bias - plain[0].weight @ (shift / scale))
    example = torch.zeros(1, 5)
    expected = relevance(imported(plain, x=example), CLASSES, feed(x=x))["x"]
    moved = x * scale.numpy() + shift.numpy()
    scores = relevance(imported(in_other_units, x=example), CLASSES, feed(x=moved))["x"]
    np.testing.assert_allclose(scores, expected, rtol=1e-2)


class Mixed(nn.Module):
    """Reads words, an image and numbers; of the numbers the last is not used, of `idle` nothing is."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(9, 4), nn.Linear(4 + 12 + 2, 3)

    def forward(self, words, image, numbers, idle):
        parts = (self.words(words).mean(1), image.flatten(1), numbers[:, :2])
        return self.head(torch.cat(parts, 1)) + 0 * idle.sum()


def mixed_rows(rows=300):
    rng = np.random.default_rng(2)
    floats = {"image": (1, 3, 4), "numbers": (3,), "idle": (2,)}
    inputs = {name: rng.normal(size=(rows, *s)).astype(np.float32) for name, s in floats.items()}
    return {"words": rng.integers(0, 9, (rows, 5)), **inputs}


def test_every_float_input_has_its_own_entry_and_tokens_have_none():
    torch.manual_seed(0)
    rows = mixed_rows()
    module = imported(
        Mixed(), **{name: torch.from_numpy(array[:1]) for name, array in rows.items()}
    )
    scores = relevance(module, CLASSES, feed(**rows))
    assert "words" not in scores
    for name in ("image", "numbers"):
        assert scores[name].shape == rows[name].shape[1:]
    assert scores["numbers"][2] == 0.0
    assert not scores.get("idle", np.zeros(1)).any()
    assert sum(values.sum() for values in scores.values()) == pytest.approx(1, abs=1e-5)


def test_a_model_of_tokens_alone_has_no_relevance_to_tell():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.head = nn.Embedding(9, 4), nn.Linear(4, 2)

        def forward(self, words):
            return self.head(self.words(words).mean(1))

    words = np.random.default_rng(0).integers(0, 9, (50, 5))
    module = imported(Words(), words=torch.from_numpy(words[:1]))
    assert relevance(module, CLASSES, feed(words=words)) == {}


def test_the_seed_decides_everything():
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    module = imported(nn.Linear(6, 3), x=torch.zeros(1, 6))
    first, again, other = (relevance(module, CLASSES, feed(x=x), seed)["x"] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.fixture
def path_and_file():
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
    content = exported(net, x=torch.zeros(1, 5))
    x = np.random.default_rng(3).normal(1.0, 1.0, size=(128, 5)).astype(np.float32)
    return InputPath(load(content), REGRESSION, feed(x=x), 0), content, x


def test_the_path_leads_from_one_towards_zero(path_and_file):
    moments = list(path_and_file[0].walk())
    first, last = (moments[index].eigenvalues["x"] for index in (0, -1))
    assert (first == 1).all()
    assert (last < 0.2).all()
    assert all(((m.eigenvalues["x"] >= 0) & (m.eigenvalues["x"] <= 1)).all() for m in moments)


def test_gradients_are_finite_differences_of_the_distance_in_onnxruntime(path_and_file):
    path, content, x = path_and_file
    runner, mean = Runner(content), x.mean(axis=0)

    def distance(eigenvalues):
        gated = (mean + eigenvalues * (x - mean)).astype(np.float32)
        moved = runner.predict(Split({"x": gated}, None)) - runner.predict(Split({"x": x}, None))
        return float((moved.astype(np.float64) ** 2).mean())

    moment = list(path.walk())[60]
    at = moment.eigenvalues["x"].double().numpy()
    gradients = moment.gradients["x"].mean(dim=0).numpy()
    steps = 1e-2 * np.eye(5)
    expected = [(distance(at + step) - distance(at - step)) / 2e-2 for step in steps]
    np.testing.assert_allclose(gradients, expected, rtol=1e-2, atol=1e-4)


def test_means_are_those_of_the_rows():
    x = np.random.default_rng(0).normal(size=(700, 3, 2)).astype(np.float16)
    means = input_means(feed(x=x))["x"]
    assert means.dtype == torch.float32
    np.testing.assert_allclose(means.numpy(), x.astype(np.float64).mean(axis=0), atol=1e-6)
