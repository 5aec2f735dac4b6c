"""Weights that a graph computes from initializers: what reads through them is silenced, or stays."""

import torch

from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.save import to_bytes
from tests.support.cutting import difference, in_onnxruntime, random_removal
from tests.support.row_nets import net


def check(model, inputs):
    """Cut half of what can go, and compare with the same nodes masked."""
    module = load(model)
    coupling = couple(module)
    removed = random_removal(coupling)
    assert removed.any()
    narrow, wide = (to_bytes(make(module.model, coupling, removed)) for make in (cut, mask))
    assert difference(in_onnxruntime(narrow, inputs), in_onnxruntime(wide, inputs)) < 1e-5


RECURRENT = {"w0": (8, 10), "W": (1, 18, 10), "R": (1, 18, 6), "w2": (6, 12), "w3": (12, 3)}


def recurrent(weight, back):
    """Return a GRU between dense layers, whose weights are scaled where they are named `scaled`."""
    return net(
        f"""g (float[T, N, 8] x) => (float[T, N, 3] y) {{
            a = MatMul(x, w0) r = Relu(a) scaled = Add(W, W) backed = Add(R, R)
            o, last = GRU<hidden_size: int = 6>(r, {weight}, {back}) q = Squeeze(o)
            c = MatMul(q, w2) d = Relu(c) y = MatMul(d, w3)
        }}""",
        RECURRENT,
    )


def test_recurrent_weights_may_be_computed():
    inputs = {"x": torch.randn(5, 3, 8)}
    check(recurrent("W", "R"), inputs)
    check(recurrent("scaled", "R"), inputs)
    check(recurrent("W", "backed"), inputs)
    check(recurrent("scaled", "backed"), inputs)


def test_a_kernel_may_be_computed():
    model = net(
        """g (float[N, 3, 8, 8] x) => (float[N, 4] y) {
            c = Conv(x, w1) r = Relu(c) k = Add(w2, w2) e = Conv(r, k) s = Relu(e)
            p = GlobalAveragePool(s) f = Flatten(p) y = MatMul(f, w3)
        }""",
        {"w1": (12, 3, 3, 3), "w2": (10, 12, 3, 3), "w3": (10, 4)},
    )
    check(model, {"x": torch.randn(2, 3, 8, 8)})
