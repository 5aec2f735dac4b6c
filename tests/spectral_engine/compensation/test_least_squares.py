"""What removed nodes told their readers goes to those that stay: against numpy, and by what the net answers."""

import io

import numpy as np
import pytest
import torch
from torch import nn

from examples.specimens.zoo import specimen
from spectral_engine.compensation import fold_means, solve_readers
from spectral_engine.compensation.moments import Moments
from spectral_engine.compensation.ridge import STRENGTHS, solve
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.save import to_bytes
from spectral_engine.records.training import Spectral
from spectral_engine.spectral.model import SpectralModel
from tests.support.cutting import in_onnxruntime, random_removal
from tests.support.feeding import feed_of


def exported(net: nn.Module, example: torch.Tensor) -> bytes:
    file = io.BytesIO()
    torch.onnx.export(
        net.eval(), (example,), file, input_names=["x"], output_names=["y"],
        dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, dynamo=False,
    )  # fmt: skip
    return file.getvalue()


def narrowed(
    model: bytes, removed_of, inputs, *, squares: bool = True, strengths=STRENGTHS
) -> bytes:
    """Cut nodes out, with least squares or with means alone, as a job does it."""
    module = load(model)
    coupling = couple(module)
    removed = removed_of(coupling)
    wide = SpectralModel(load(model), coupling, Spectral())
    through = SpectralModel(module, coupling, Spectral())
    feed = feed_of(inputs, 64)
    fold_means(through, removed, feed.in_order())
    through.write_back()
    narrow = SpectralModel(
        module.over(cut(module.model, coupling, removed)), coupling.without(removed), Spectral()
    )
    if squares:
        solve_readers(narrow, wide, feed.in_order, strengths)
    narrow.write_back()
    return to_bytes(narrow.module.model)


def without(weight: str, *nodes: int):
    """Mark these outputs of a weight."""

    def mark(coupling):
        removed = np.zeros(coupling.count, dtype=bool)
        removed[coupling.axes[weight][0][list(nodes)]] = True
        return removed

    return mark


def weights_of(model: bytes) -> dict[str, np.ndarray]:
    graph = load(model).model.graph
    return {
        name: value.const_value.numpy()
        for name, value in graph.initializers.items()
        if value.const_value is not None
    }


def test_a_dense_reader_gets_the_weights_that_numpy_finds():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    x = torch.randn(4096, 6)
    made = weights_of(
        narrowed(exported(net, x[:1]), without("0.weight", 1, 5), {"x": x}, strengths=(1e-12,))
    )
    stays = [0, 2, 3, 4, 6, 7]
    with torch.no_grad():
        hidden, answers = torch.tanh(net[0](x)), net(x)
    padded = np.concatenate([hidden[:, stays], np.ones((len(x), 1))], axis=1).astype(np.float64)
    expected = np.linalg.lstsq(padded, answers.double().numpy(), rcond=None)[0]
    np.testing.assert_allclose(made["2.weight"], expected[:-1].T, atol=1e-4)
    np.testing.assert_allclose(made["2.bias"], expected[-1], atol=1e-4)


def duplicated_dense():
    net = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():  # the last node answers three times the first one
        net[0].weight[5], net[0].bias[5] = 3 * net[0].weight[0], 3 * net[0].bias[0]
    return net, torch.randn(400, 5)


def duplicated_channel():
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 16, 3),
    )  # fmt: skip
    with torch.no_grad():
        net[0].weight[5], net[0].bias[5] = 3 * net[0].weight[0], 3 * net[0].bias[0]
    x = torch.randn(400, 2, 8, 8)
    net.train()(x)
    for _ in range(60):  # statistics as the rows give them, so that settling them changes nothing
        net(x)
    return net, x


def duplicated_sequence():
    net = nn.Sequential(
        nn.Conv1d(2, 6, 3, dilation=2), nn.ReLU(), nn.Conv1d(6, 5, 2, stride=2, padding=1), nn.Flatten()
    )  # fmt: skip
    with torch.no_grad():
        net[0].weight[5], net[0].bias[5] = 3 * net[0].weight[0], 3 * net[0].bias[0]
    return net, torch.randn(400, 2, 12)


@pytest.mark.parametrize("make", [duplicated_dense, duplicated_channel, duplicated_sequence])
def test_a_node_that_others_combine_to_goes_without_a_loss(make):
    torch.manual_seed(1)
    net, x = make()
    model = exported(net, x[:1])
    fresh = {"x": torch.randn(50, *x.shape[1:])}
    cut_model = narrowed(model, without("0.weight", 5), {"x": x})
    before, after = in_onnxruntime(model, fresh)[0], in_onnxruntime(cut_model, fresh)[0]
    tolerance = (
        2e-2 if make is duplicated_channel else 1e-4
    )  # statistics of positions drawn at random
    np.testing.assert_allclose(after, before, atol=tolerance * np.abs(before).max())
    only_means = in_onnxruntime(
        narrowed(model, without("0.weight", 5), {"x": x}, squares=False), fresh
    )
    assert np.abs(only_means[0] - before).max() > 10 * np.abs(after - before).max()


@pytest.mark.parametrize("name", ["encoder", "bottleneck", "depthwise"])
def test_answers_of_fresh_rows_are_nearer_than_with_means_alone(name):
    """Residual streams, attention, normalised layers, grouped ones: whatever couples."""
    net = specimen(name)
    rows, fresh = net.sample(192, seed=3), net.sample(64, seed=4)
    before = in_onnxruntime(net.model, fresh)[0]
    errors = {
        squares: np.square(
            in_onnxruntime(
                narrowed(net.model, lambda c: random_removal(c, 0.3), rows, squares=squares), fresh
            )[0]
            - before
        ).mean()
        for squares in (False, True)
    }
    assert errors[True] < errors[False]


def test_the_ridge_is_no_worse_than_the_mean_on_rows_held_back():
    generator = np.random.default_rng(0)
    for rows in (12, 40, 400):  # fewer than inputs, and more
        x = torch.from_numpy(generator.normal(size=(rows, 20)))
        y = torch.from_numpy(generator.normal(size=(rows, 3)))  # nothing to learn
        half = rows // 2
        fitted, held_back = (Moments.empty(20, 3, torch.device("cpu")) for _ in range(2))
        fitted.add(x[:half], y[:half])
        held_back.add(x[half:], y[half:])
        old = torch.zeros(20, 3, dtype=torch.float64)
        assert solve(fitted, held_back, old, has_offset=True).strength > STRENGTHS[3]
        np.testing.assert_allclose(
            held_back.error(old, fitted.mean_targets),
            ((y[half:] - y[:half].mean(0)) ** 2).sum(1).mean(),
        )
