"""Running statistics follow the final weights, and nothing else moves."""

import numpy as np
import torch
from torch import nn

from spectral_engine.data import Split
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.head import Head
from spectral_engine.graph.module import OnnxModule
from spectral_engine.onnx_io.load import load_model
from spectral_engine.records.training import Spectral, Training
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.feed import Feed
from spectral_engine.training.normalization import normalize
from spectral_engine.training.objective import Objective
from spectral_engine.training.trainer import Trainer
from tests.support.task_nets import export

X = np.random.default_rng(0).normal(size=(128, 3, 6, 6)).astype(np.float32)
OBJECTIVE = Objective("classification", Head("logits", "logits", None), 0.0, 1.0, 1.0)


def feed():
    return Feed(Split({"x": X}, np.zeros(128, np.int64)), 128, torch.device("cpu"))


def trainer(tmp_path, net):
    export(net, (torch.zeros(1, 3, 6, 6),), tmp_path / "net.onnx", ["x"], ("logits",))
    module = OnnxModule(load_model(tmp_path / "net.onnx"))
    coupling = couple(module)
    normalized = normalize(module, coupling, feed())
    if normalized is not None:
        module, coupling = OnnxModule(normalized.model), normalized.coupling
    model = SpectralModel(module, coupling, Spectral())
    return Trainer(model, OBJECTIVE, None, Training(), torch.device("cpu"))


def test_stale_statistics_come_back_to_those_of_the_rows(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
    made = trainer(tmp_path, net)
    fresh = made.state()
    statistics = [name for name in fresh if name.endswith((".mean", ".variance"))]
    assert len(statistics) == 2
    stale = {name: value + 5 * (name in statistics) for name, value in fresh.items()}
    made.restore(stale, 0)
    made.settle(feed(), seed=0)
    for name, value in made.state().items():
        if name in statistics:
            torch.testing.assert_close(value, fresh[name], atol=0.25, rtol=0.05)
        else:
            assert torch.equal(value, stale[name]), name


def test_a_net_without_normalisations_is_left_alone(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(108, 6), nn.ReLU(), nn.Linear(6, 2))
    made = trainer(tmp_path, net)
    assert not made.model.normalizes
    before = made.state()
    made.settle(feed(), seed=0)
    assert all(torch.equal(before[name], value) for name, value in made.state().items())
