"""Floors hold along the whole path."""

import numpy as np
import pytest
import torch
from torch import nn

from examples.specimens.zoo import specimen
from spectral_engine.cost.budget import Budget
from spectral_engine.cost.ranking import choose_removal, even_floors, floors
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.load import load_model
from spectral_engine.onnx_io.save import to_bytes
from tests.support.cutting import difference, in_onnxruntime
from tests.support.task_nets import export


@pytest.fixture
def coupling(tmp_path):
    net = nn.Sequential(nn.Linear(5, 40), nn.ReLU(), nn.Linear(40, 12), nn.ReLU(), nn.Linear(12, 2))
    export(net, (torch.zeros(1, 5),), tmp_path / "net.onnx", ["x"], ("logits",))
    return couple(OnnxModule(load_model(tmp_path / "net.onnx")))


def test_a_layer_keeps_min_nodes_or_a_quarter_of_a_few(coupling):
    assert list(floors(coupling, 4).values())[:2] == [4, 3]
    assert list(floors(coupling, 1).values())[:2] == [1, 1]


def test_floors_do_not_narrow_with_a_model_that_narrows_step_by_step(coupling):
    least = floors(coupling, 4)
    scores = np.random.default_rng(0).uniform(size=coupling.count)
    now = coupling
    for nodes in (40, 30, 20, 15, 10, 7, 1):
        now = now.without(choose_removal(now, scores, Budget({"nodes": nodes}), least))
    assert [len(layer.groups) for layer in now.layers if layer.prunable] == [4, 3]


def test_no_layer_falls_below_its_share_of_an_even_part(coupling):
    """A score that wants the nodes of the second layer alone gone, and half of all nodes left."""
    scores = np.ones(coupling.count)
    scores[coupling.layers[1].groups] = 0.0
    now = coupling
    for nodes in (45, 38, 32, 26):
        even = even_floors(coupling, now, floors(coupling, 1), 0.5)
        now = now.without(choose_removal(now, scores, Budget({"nodes": nodes}), even))
    first, second = (len(layer.groups) for layer in now.layers if layer.prunable)
    assert first + second == 26
    assert second >= 0.5 * 12 * 26 / 52


def test_floors_rise_with_the_nodes_that_are_left(coupling):
    least = floors(coupling, 4)
    assert list(even_floors(coupling, coupling, least, 0.5).values())[:2] == [20, 6]
    assert list(even_floors(coupling, coupling, least, 0.0).values())[:2] == [4, 3]


@pytest.mark.parametrize("name", ["shuffle", "c2f", "group_normed"])
def test_a_part_that_goes_a_way_of_its_own_keeps_a_node(name):
    """Scores want all nodes of the part gone, and the layer that it belongs to has others to keep."""
    net = specimen(name)
    module = load(net.model)
    coupling = couple(module)
    assert coupling.parts
    for part in coupling.parts:
        scores = np.ones(coupling.count)
        scores[part] = 0.0
        removed = choose_removal(coupling, scores, Budget({"nodes": 1}), floors(coupling, 1))
        assert (~removed[part]).sum() == 1
        masked, narrower = (to_bytes(way(module.model, coupling, removed)) for way in (mask, cut))
        inputs = net.sample(3)
        assert difference(in_onnxruntime(masked, inputs), in_onnxruntime(narrower, inputs)) <= 1e-5


def test_a_cut_that_would_empty_a_part_is_refused():
    module = load(specimen("shuffle").model)
    coupling = couple(module)
    removed = np.zeros(coupling.count, dtype=bool)
    removed[coupling.parts[0]] = True
    with pytest.raises(ValueError, match="would be empty"):
        cut(module.model, coupling, removed)
