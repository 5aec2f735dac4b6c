"""Surgery: what is cut computes what is masked, and says so in the very form that came in."""

import copy

import numpy as np
import onnx
import onnx.parser
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from examples.specimens.zoo import NETS, export, specimen
from examples.specimens.zoo.exporting import IMAGE
from spectral_engine.compensation import fold_means
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.surgery import cut, narrow
from spectral_engine.onnx_io.save import to_bytes
from spectral_engine.records.training import Spectral
from spectral_engine.spectral.model import SpectralModel
from tests.support.cutting import difference, in_onnxruntime, random_removal
from tests.support.feeding import feed_of


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 999), name=st.sampled_from(list(NETS)))
def test_masked_and_cut_agree_whatever_goes(share, seed, name):
    exported = specimen(name)
    module = load(exported.model)
    coupling = couple(module)
    removed = random_removal(coupling, share, seed)
    masked = to_bytes(mask(module.model, coupling, removed))
    narrower = to_bytes(cut(module.model, coupling, removed))
    inputs = exported.sample(3)
    assert difference(in_onnxruntime(masked, inputs), in_onnxruntime(narrower, inputs)) <= 1e-5


def test_a_masked_node_is_one_that_its_readers_do_not_read():
    """The mask itself, against torch: the columns of the next layer are zero, and nothing else changes."""
    exported = specimen("perceptron_tanh")
    module = load(exported.model)
    coupling = couple(module)
    first = coupling.layers[0]
    removed = np.zeros(coupling.count, dtype=bool)
    removed[first.groups[[2, 5, 11]]] = True
    silenced = copy.deepcopy(exported.net)
    with torch.no_grad():
        silenced[2].weight[:, [2, 5, 11]] = 0
        inputs = exported.sample(4)
        expected = silenced(*inputs.values()).numpy()
    narrower = to_bytes(cut(module.model, coupling, removed))
    np.testing.assert_allclose(in_onnxruntime(narrower, inputs)[0], expected, rtol=1e-5, atol=1e-6)


def test_a_cut_model_can_be_cut_again():
    exported = specimen("residual")
    module = load(exported.model)
    coupling = couple(module)
    first, both = random_removal(coupling, 0.3, 1), random_removal(coupling, 0.3, 1)
    row = next(layer for layer in coupling.layers if layer.prunable)
    both[row.groups[~first[row.groups]][:2]] = True
    once = cut(module.model, coupling, first)
    twice = cut(once, coupling.without(first), both & ~first)
    at_once = cut(module.model, coupling, both)
    inputs = exported.sample(3)
    left, right = (in_onnxruntime(to_bytes(model), inputs) for model in (twice, at_once))
    np.testing.assert_array_equal(left[0], right[0])


def test_tensors_are_narrowed_along_every_axis_that_holds_removed_nodes():
    tensor = torch.arange(12.0).reshape(3, 4)
    axes = (np.array([0, 1, 2]), np.array([3, 4, 3, 5]))
    removed = np.array([False, True, False, True, False, False])
    assert narrow(tensor, axes, removed).tolist() == [[1.0, 3.0], [9.0, 11.0]]


ACTIVATIONS = ["perceptron_relu", "perceptron_sigmoid", "perceptron_tanh", "plain_sigmoid"]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_constant_node_goes_without_a_trace(name):
    """A node that reads nothing says act(b) for ever: that goes into the next bias, and nothing else changes."""
    exported = specimen(name)
    module = load(exported.model)
    coupling = couple(module)
    first = next(layer for layer in coupling.layers if layer.prunable)
    transfer = next(t for t in coupling.transfers if t.name == first.producers[0])
    dead = [1, 3]
    with torch.no_grad():
        module.initializer(transfer.weight).index_fill_(transfer.out_axis, torch.tensor(dead), 0.0)
        inputs = exported.sample(5)
        (expected,) = module(**inputs).values()
    removed = np.zeros(coupling.count, dtype=bool)
    removed[first.groups[dead]] = True
    model = SpectralModel(module, coupling, Spectral())
    fold_means(model, removed, feed_of(exported.sample(64, seed=3)).in_order())
    module.write_back(model.weights())
    narrower = to_bytes(cut(module.model, coupling, removed))
    np.testing.assert_allclose(
        in_onnxruntime(narrower, inputs)[0], expected.numpy(), rtol=1e-4, atol=1e-5
    )


def test_before_a_normalisation_the_running_mean_takes_what_a_constant_node_said():
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17]> g (float[N, 3, 4, 4] x) => (float[N, 2] y) {
            a = Conv(x, w1, b1)  r = Sigmoid(a)  c = Conv(r, w2)
            n = BatchNormalization(c, scale, shift, mean, variance)
            p = GlobalAveragePool(n)  f = Flatten(p)  y = Gemm<transB = 1>(f, w3, b3)
        }"""
    )
    generator = np.random.default_rng(0)
    shapes = {"w1": (6, 3, 1, 1), "b1": (6,), "w2": (5, 6, 1, 1), "w3": (2, 5), "b3": (2,)}
    shapes |= dict.fromkeys(("scale", "shift", "mean", "variance"), (5,))
    for name, shape in shapes.items():
        values = generator.uniform(0.5, 1.5, shape).astype(np.float32)
        if name == "w1":
            values[[1, 4]] = 0  # two channels that say sigmoid(b) everywhere
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    module = load(model.SerializeToString())
    coupling = couple(module)
    removed = np.zeros(coupling.count, dtype=bool)
    removed[coupling.axes["w1"][0][[1, 4]]] = True
    inputs = {"x": torch.randn(3, 3, 4, 4)}
    expected = in_onnxruntime(model.SerializeToString(), inputs)
    spectral = SpectralModel(module, coupling, Spectral())
    fold_means(spectral, removed, feed_of({"x": torch.randn(32, 3, 4, 4)}).in_order())
    module.write_back(spectral.weights())
    narrower = to_bytes(cut(module.model, coupling, removed))
    np.testing.assert_allclose(
        in_onnxruntime(narrower, inputs)[0], expected[0], rtol=1e-5, atol=1e-5
    )


def test_a_node_that_is_not_constant_leaves_its_mean():
    """Of all constants the mean is the closest in squared error: the compensated cut is nearer to the original."""
    exported = specimen("perceptron_sigmoid")
    errors = {}
    for compensated in (False, True):
        module = load(exported.model)
        coupling = couple(module)
        removed = random_removal(coupling, 0.3)
        model = SpectralModel(module, coupling, Spectral())
        if compensated:
            fold_means(model, removed, feed_of(exported.sample(256, seed=3)).in_order())
        module.write_back(model.weights())
        narrower = to_bytes(cut(module.model, coupling, removed))
        inputs = exported.sample(256, seed=4)
        original, after = (
            in_onnxruntime(exported.model, inputs)[0],
            in_onnxruntime(narrower, inputs)[0],
        )
        errors[compensated] = float(((original - after) ** 2).mean())
    assert errors[True] < 0.5 * errors[False]


def test_grouped_convolutions_lose_whole_groups_or_the_same_channel_of_each():
    for groups, width in ((6, 12), (2, 12)):
        net = nn.Sequential(
            nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 24, 3, groups=groups), nn.ReLU(),
            nn.Conv2d(24, 4, 1), nn.Flatten(), nn.Linear(4 * 16, 5),
        ).eval()  # fmt: skip
        module = load(export(net, (IMAGE,), ("x",), "torchscript"))
        coupling = couple(module)
        removed = random_removal(coupling)
        inputs = {"x": torch.randn(3, 3, 8, 8)}
        masked = to_bytes(mask(module.model, coupling, removed))
        narrower = to_bytes(cut(module.model, coupling, removed))
        assert difference(in_onnxruntime(masked, inputs), in_onnxruntime(narrower, inputs)) <= 1e-5
        weights = {t.name: list(t.dims) for t in onnx.load_from_string(narrower).graph.initializer}
        assert weights["2.weight"] == ([12, 2, 3, 3] if groups == 6 else [12, 3, 3, 3])
