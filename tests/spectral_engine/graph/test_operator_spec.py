"""An operator is one spec: what this file says of two operators is all that the product is told of them."""

import numpy as np
import onnx.parser
import pytest
import torch
from onnx import numpy_helper

from spectral_engine.graph.coupling import couple
from spectral_engine.graph.fuse import fuse
from spectral_engine.graph.fusion import Fusion, Group
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.operator_spec import NormForm
from spectral_engine.graph.operators import OperatorSpec, register
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.save import to_bytes
from spectral_engine.spectral.fresh import draw_weights

DOMAIN, EPSILON = "test.operators", 1e-3


def weigh(node, mode):
    """x · w."""
    return lambda x, w: x * w


def weigh_coupling(node, book):
    source, output = node.input(0), node.outputs[0]
    book.attach(node.input(1), (book.axis(source, 1),))
    book.pass_on(source, output)


def weigh_sigmoid(book, at):
    x, w = book.steps[at].reads
    sigmoid = book.private(x, "Sigmoid")
    if sigmoid is None:
        return None
    reads = (book.steps[sigmoid].reads[0], w)
    return Group(lambda x, w: torch.sigmoid(x) * w, reads, (sigmoid,))


def unit_power(node, mode):
    """x / √(mean x² + ε) · g along the last axis."""
    return lambda x, g: x / (x.square().mean(-1, keepdim=True) + EPSILON).sqrt() * g


def unit_power_coupling(node, book):
    book.mix(node, 0, -1, "norm")
    weigh_coupling(node, book)


WEIGH = OperatorSpec(
    weigh, weigh_coupling, weights=(1,), fusion=Fusion(weigh_sigmoid, turn=1), arity=2
)
UNIT_POWER = OperatorSpec(
    unit_power,
    unit_power_coupling,
    weights=(1,),
    initial={1: 1.0},
    norm=NormForm(centred=False, shift=None, epsilon=EPSILON),
)
register({"Weigh": WEIGH, "UnitPower": UNIT_POWER}, domain=DOMAIN)

GRAPH = """
    <ir_version: 8, opset_import: ["": 17, "test.operators": 1]> g (float[N, 5] x) => (float[N, 3] y) {
        a = Gemm<transB = 1>(x, w1, b1)  s = Sigmoid(a)  m = test.operators.Weigh(s, w)
        u = test.operators.UnitPower(m, g)  y = Gemm<transB = 1>(u, w2, b2) }
"""
SHAPES = {"w1": (8, 5), "b1": (8,), "w": (8,), "g": (8,), "w2": (3, 8), "b2": (3,)}
REMOVED = [1, 4, 5]


@pytest.fixture
def weights():
    random = np.random.default_rng(3)
    return {name: random.standard_normal(shape).astype("f") for name, shape in SHAPES.items()}


@pytest.fixture
def x():
    return np.random.default_rng(4).standard_normal((6, 5)).astype("f")


@pytest.fixture
def module(weights):
    model = onnx.parser.parse_model(GRAPH)
    model.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in weights.items())
    return load(model.SerializeToString())


def by_formula(v, x):
    """The net in numpy, with the weights `v`."""
    m = v["w"] / (1 + np.exp(-(x @ v["w1"].T + v["b1"])))
    u = m / np.sqrt((m**2).mean(-1, keepdims=True) + EPSILON) * v["g"]
    return u @ v["w2"].T + v["b2"]


def without(weights, nodes):
    """The weights of the net that never had these hidden nodes."""
    gone = {name: np.delete(weights[name], nodes, axis) for name, axis in HIDDEN.items()}
    return {**weights, **gone}


HIDDEN = {"w1": 0, "b1": 0, "w": 0, "g": 0, "w2": 1}  # the axis of the hidden nodes


def answers(model, x):
    with torch.no_grad():
        return load(to_bytes(model))(x=torch.from_numpy(x))["y"].numpy()


def removal(coupling):
    """Mark three of the hidden nodes."""
    removed = np.zeros(coupling.count, dtype=bool)
    removed[coupling.axes["w1"][0][REMOVED]] = True
    return removed


def test_a_model_with_it_computes(module, weights, x):
    computed = module(x=torch.from_numpy(x))["y"].detach().numpy()
    np.testing.assert_allclose(computed, by_formula(weights, x), rtol=1e-5, atol=1e-6)


def test_its_weights_are_trained_and_start_where_it_says(module):
    assert {"w", "g"} <= set(module.trainable)
    draw_weights(module, couple(module), seed=0)
    assert module.initializer("g").tolist() == [1.0] * 8
    assert module.initializer("w").tolist() != [1.0] * 8


def test_its_nodes_are_coupled_with_those_around(module):
    coupling = couple(module)
    groups = [coupling.axes[name][axis].tolist() for name, axis in HIDDEN.items()]
    assert groups == [groups[0]] * len(HIDDEN)
    assert not coupling.pinned[groups[0]].any()


def test_what_is_cut_is_the_net_without_the_nodes(module, weights, x):
    coupling = couple(module)
    narrower = cut(module.model, coupling, removal(coupling))
    assert narrower.graph.initializers["g"].shape.numpy() == (5,)
    wanted = by_formula(without(weights, REMOVED), x)
    np.testing.assert_allclose(answers(narrower, x), wanted, rtol=1e-5, atol=1e-6)


def test_what_is_masked_computes_what_is_cut_and_is_as_wide_as_before(module, weights, x):
    coupling = couple(module)
    masked = mask(module.model, coupling, removal(coupling))
    assert masked.graph.initializers["g"].shape.numpy() == (8,)
    wanted = by_formula(without(weights, REMOVED), x)
    np.testing.assert_allclose(answers(masked, x), wanted, rtol=1e-5, atol=1e-6)


def test_what_fuses_with_it_runs_as_one_step(module):
    plan = module.plan
    fused = fuse(plan.steps, {plan.slots["y"]}, {})
    assert [step.node.op_type for step in fused] == ["Gemm", "Weigh", "UnitPower", "Gemm"]
    watched = fuse(plan.steps, {plan.slots["y"], plan.slots["s"]}, {})
    assert "Sigmoid" in [step.node.op_type for step in watched]


def test_an_operator_has_one_spec():
    with pytest.raises(ValueError, match="::Weigh is registered already"):
        register({"Weigh": WEIGH}, domain=DOMAIN)
