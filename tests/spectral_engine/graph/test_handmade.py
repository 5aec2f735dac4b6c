"""Graphs in the forms of other exporters: imported, narrowed to half their cost, masked = cut."""

import numpy as np
import pytest
import torch

from examples.specimens.zoo.handmade import HANDMADE
from spectral_engine.cost.budget import Budget
from spectral_engine.cost.ranking import choose_removal, floors
from spectral_engine.graph.beside import is_float
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.save import to_bytes
from tests.support.cutting import difference, in_onnxruntime

TOLERANCE = {"half": 5e-3}  # half precision rounds to three digits


@pytest.mark.parametrize("name", HANDMADE)
def test_a_graph_of_this_form_is_narrowed_to_half_its_cost(name):
    make, shape = HANDMADE[name]
    model = make().SerializeToString()
    module = load(model)
    coupling = couple(module)
    scores = np.random.default_rng(0).random(coupling.count)
    budget = Budget({"macs": 0.5 * coupling.macs()})
    removed = choose_removal(coupling, scores, budget, floors(coupling, 1))
    assert coupling.macs(removed) <= 0.5 * coupling.macs()
    masked, narrower = (to_bytes(how(module.model, coupling, removed)) for how in (mask, cut))
    assert len(narrower) < len(model)
    for batch in (1, 7):
        x = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(batch))
        x = x.half() if name == "half" else x
        with torch.no_grad():
            computed = module(x=x)
        names = [value.name for value in module.model.graph.outputs]
        told = dict(zip(names, in_onnxruntime(model, {"x": x}), strict=True))
        # A label that is made of the scores is not computed here, and stays in the file.
        assert {value.name for value in module.model.graph.outputs if is_float(value)} <= set(
            computed
        )
        left, right = (
            [told[each] for each in computed],
            [value.numpy() for value in computed.values()],
        )
        assert difference(left, right) <= TOLERANCE.get(name, 1e-4)
        pair = in_onnxruntime(masked, {"x": x}), in_onnxruntime(narrower, {"x": x})
        assert difference(*pair) <= TOLERANCE.get(name, 1e-5)


def test_a_weight_that_is_read_twice_goes_from_both_readings():
    coupling = couple(load(HANDMADE["turned"][0]().SerializeToString()))
    readers = [t for t in coupling.transfers if t.weight == "w2"]
    assert len(readers) == 2
    assert readers[0].in_axis == readers[1].out_axis
