"""Fused steps: fewer run, the values are the same, and what is watched or replaced stays available."""

import numpy as np
import onnx.parser
import pytest
import torch
from onnx import numpy_helper

from spectral_engine.graph.fuse import fuse
from spectral_engine.graph.loading import load

HEAD = '<ir_version: 8, opset_import: ["": 17]> g (float[N, 4, 6] x) => (float[N, 4, M] y) {'
GELU = "a = Div(x, root) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half) }"
ATTENTION = """
    q = Unsqueeze(x, first) t = Transpose<perm = [0, 1, 3, 2]>(q)
    s = MatMul(q, t) u = Mul(s, half) p = Softmax<axis = -1>(u) r = MatMul(p, q) y = Squeeze(r, first) }
"""
GRAPHS = {
    "gelu": (GELU, 1),
    "silu": ("s = Sigmoid(x) y = Mul(x, s) }", 1),
    "dense": ("m = MatMul(x, w) y = Add(bias, m) }", 1),
    "attention": (ATTENTION, 4),
    "slices": (
        """a = Slice(x, zero, two, last) b = Slice(x, two, end, last)
        c = Relu(a) d = Tanh(b) y = Concat<axis = -1>(d, c) }""",
        4,
    ),
}
FLOATS = {"root": np.sqrt(2), "one": 1.0, "half": 0.5}
INTS = {"first": 1, "zero": 0, "two": 2, "end": 2**40, "last": 2}


def module_of(body):
    model = onnx.parser.parse_model(HEAD + body)
    random = np.random.default_rng(0)
    initializers = {name: np.float32(value) for name, value in FLOATS.items()}
    initializers |= {name: np.array([value]) for name, value in INTS.items()}
    initializers |= {
        "w": random.standard_normal((6, 5)).astype("f"),
        "bias": np.arange(5, dtype="f"),
    }
    for name, value in initializers.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return load(model.SerializeToString())


def steps_of(module, kept):
    plan = module.plan
    scalars = {plan.slots[name]: float(value) for name, value in FLOATS.items()}
    return fuse(plan.steps, {plan.slots[name] for name in kept}, scalars)


@pytest.mark.parametrize("name", GRAPHS)
def test_fewer_steps_give_the_same_values_and_gradients(name):
    body, count = GRAPHS[name]
    module = module_of(body)
    assert len(steps_of(module, ["y"])) == count
    inner = [v for step in module.plan.steps for v in step.node.outputs]
    torch.manual_seed(0)
    x = torch.randn(3, 4, 6, requires_grad=True)
    fused, plain = module.compute({"x": x})["y"], module.run({"x": x}, watch=inner)["y"]
    torch.testing.assert_close(fused, plain)
    for value in (fused, plain):
        (gradient,) = torch.autograd.grad(value.square().sum(), x)
        expected = gradient_by_hand(module, x, inner)
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-4)


def gradient_by_hand(module, x, inner):
    value = module.run({"x": x}, watch=inner)["y"]
    return torch.autograd.grad(value.square().sum(), x)[0]


def test_a_value_that_is_watched_keeps_its_step():
    module = module_of(GELU)
    values = module.run({"x": torch.ones(1, 4, 6)}, watch=["b"])
    torch.testing.assert_close(values["b"], torch.erf(torch.full((1, 4, 6), 0.5**0.5)))


def test_a_constant_that_is_replaced_counts():
    module, x = module_of(GELU), torch.randn(2, 4, 6)
    doubled = module.compute({"x": x}, {"half": torch.tensor(1.0)})["y"]
    torch.testing.assert_close(doubled, 2 * module.compute({"x": x})["y"])
