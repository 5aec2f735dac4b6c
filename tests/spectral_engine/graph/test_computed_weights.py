"""Weights that the graph puts together out of initializers: masked and cut agree there too."""

import numpy as np
import pytest
import torch

from examples.specimens import row_nets
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.save import to_bytes
from tests.support.cutting import difference, in_onnxruntime, random_removal

HIDDEN = 5
STATES = {"lstm": 4, "gru": 3}


def turned_gates(kind):
    """A recurrent net behind a dense layer: the file sorts the gates of its weights while it runs."""
    rows = STATES[kind] * HIDDEN
    sort = """
        {0}a = Slice({0}, zero, half, zero) {0}b = Slice({0}, half, most, zero) {0}c = Concat<axis: int = 0>({0}b, {0}a)
        {0}s = Unsqueeze({0}c, zero)
    """
    return row_nets.net(
        f"""g (float[T, N, 3] x) => (float[T, N, 2] y) {{
            d = MatMul(x, first) e = Add(d, first_b) r = Relu(e)
            {sort.format("w")} {sort.format("u")}
            h, last = {kind.upper()}<hidden_size: int = {HIDDEN}>(r, ws, us)
            f = Squeeze(h, one) y = MatMul(f, out)
        }}""",
        {"first": (3, 6), "first_b": (6,), "w": (rows, 6), "u": (rows, HIDDEN), "out": (HIDDEN, 2)},
        {"zero": [0], "one": [1], "half": [HIDDEN], "most": [rows]},
    )


def stacked_kernel():
    """A convolution whose kernel is two initializers, one after the other."""
    return row_nets.net(
        """g (float[N, 3, T] x) => (float[N, 4, T] y) {
            c = Conv<kernel_shape: ints = [1]>(x, first, first_b) r = Relu(c)
            k = Concat<axis: int = 0>(upper, lower) y = Conv<kernel_shape: ints = [1]>(r, k)
        }""",
        {"first": (6, 3, 1), "first_b": (6,), "upper": (3, 6, 1), "lower": (1, 6, 1)},
    )


@pytest.mark.parametrize(
    ("model", "shape", "layer"),
    [
        (turned_gates("lstm"), (4, 2, 3), 6),
        (turned_gates("gru"), (4, 2, 3), 6),
        (stacked_kernel(), (2, 3, 7), 6),
    ],
    ids=["lstm", "gru", "conv"],
)
def test_masked_is_cut(model, shape, layer):
    module = load(model)
    coupling = couple(module)
    removed = np.zeros(coupling.count, dtype=bool)
    free = coupling.layers[0].groups[~coupling.pinned[coupling.layers[0].groups]]
    removed[free[: layer // 2]] = True
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    pair = [
        in_onnxruntime(to_bytes(how(module.model, coupling, removed)), {"x": x})
        for how in (mask, cut)
    ]
    assert difference(*pair) <= 1e-5
    if removed.any():
        assert difference(pair[0], in_onnxruntime(model, {"x": x})) > 1e-3


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
    return row_nets.net(
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
    model = row_nets.net(
        """g (float[N, 3, 8, 8] x) => (float[N, 4] y) {
            c = Conv(x, w1) r = Relu(c) k = Add(w2, w2) e = Conv(r, k) s = Relu(e)
            p = GlobalAveragePool(s) f = Flatten(p) y = MatMul(f, w3)
        }""",
        {"w1": (12, 3, 3, 3), "w2": (10, 12, 3, 3), "w3": (10, 4)},
    )
    check(model, {"x": torch.randn(2, 3, 8, 8)})
