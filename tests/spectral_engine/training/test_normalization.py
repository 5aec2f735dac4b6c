"""Normalisations for the time of the training: nothing changes when they come and nothing when they go."""

import numpy as np
import pytest
import torch
from torch import nn

from spectral_engine.data import Split
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.module import OnnxModule
from spectral_engine.measure.runtime import Runner
from spectral_engine.onnx_io.load import load_model
from spectral_engine.onnx_io.save import to_bytes
from spectral_engine.records.training import Spectral
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.feed import Feed
from spectral_engine.training.normalization import PREFIX, fold, normalize
from tests.support.task_nets import export

X = np.random.default_rng(0).normal(size=(256, 3, 8, 8)).astype(np.float32)


def net():
    """Its exporter folds both normalisations away."""
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 5, 3, stride=2),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(20, 4),
    )
    made(torch.from_numpy(X))  # gives the running statistics something to say
    return made.eval()


@pytest.fixture
def original(tmp_path):
    export(net(), (torch.zeros(1, 3, 8, 8),), tmp_path / "net.onnx", ["x"], ("logits",))
    return OnnxModule(load_model(tmp_path / "net.onnx"))


def answers(model):
    return Runner(to_bytes(model)).predict(Split({"x": X}, None))


def feed():
    return Feed(Split({"x": X}, None), 64, torch.device("cpu"))


def test_every_convolution_whose_nodes_can_go_gets_one_and_the_model_answers_as_before(original):
    assert "BatchNormalization" not in [node.op_type for node in original.model.graph]
    normalized = normalize(original, couple(original), feed())
    kinds = [node.op_type for node in normalized.model.graph]
    assert kinds.count("BatchNormalization") == 2
    np.testing.assert_allclose(answers(normalized.model), answers(original.model), atol=1e-4)


def test_node_groups_keep_their_numbers_and_the_scale_is_the_eigenvalue(original):
    coupling = couple(original)
    normalized = normalize(original, coupling, feed())
    assert normalized.coupling.count == coupling.count
    for name in original.model.graph.initializers:
        for before, after in zip(
            coupling.axes.get(name, ()), normalized.coupling.axes.get(name, ()), strict=True
        ):
            assert (before is None) == (after is None)
            assert before is None or (before == after).all()
    model = SpectralModel(OnnxModule(normalized.model), normalized.coupling, Spectral())
    assert len(model.gates) == 2
    assert all(gate.startswith(PREFIX) for gate in model.gates.values())


def test_folding_gives_the_graph_back_with_the_trained_function(original):
    normalized = normalize(original, couple(original), feed())
    rng = np.random.default_rng(1)
    module = OnnxModule(normalized.model)
    for name, parameter in module.named_parameters():
        with torch.no_grad():
            parameter.mul_(torch.tensor(rng.uniform(0.5, 1.5, parameter.shape)).float())
            assert name
    module.write_back()
    before = answers(module.model)
    fold(module.model)
    assert [n.op_type for n in module.model.graph] == [n.op_type for n in original.model.graph]
    assert set(module.model.graph.initializers) == set(original.model.graph.initializers)
    np.testing.assert_allclose(answers(module.model), before, atol=1e-4)


def test_a_perceptron_stays_as_it_is(tmp_path):
    dense = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    export(dense, (torch.zeros(1, 4),), tmp_path / "dense.onnx", ["x"], ("logits",))
    module = OnnxModule(load_model(tmp_path / "dense.onnx"))
    assert normalize(module, couple(module), feed()) is None
