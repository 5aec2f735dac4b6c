"""Small nets whose rows lie in other places than on the first axis of everything, as onnx's text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser

Array = NDArray[Any]
OPSET = 17


def net(
    text: str,
    weights: Mapping[str, tuple[int, ...]],
    constants: Mapping[str, Any] = {},
    opset: int = OPSET,
) -> bytes:
    """Return a net with drawn float weights of these shapes, and constants as they are."""
    random = np.random.default_rng(0)
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]>\n{text}')
    for name, shape in weights.items():
        drawn = (random.standard_normal(shape) * 0.4).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(drawn, name))
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    onnx.checker.check_model(model)
    return model.SerializeToString()


MLP = {"w1": (8, 32), "b1": (32,), "w2": (32, 3), "b2": (3,)}


def time_major() -> bytes:
    """Rows first in, steps first out: a reader's [T, N, classes]."""
    return net(
        """g (float[N, 20, 8] x) => (float[20, N, 3] y) {
            a = MatMul(x, w1) c = Add(a, b1) r = Relu(c) g = MatMul(r, w2) h = Add(g, b2)
            y = Transpose<perm: ints = [1, 0, 2]>(h)
        }""",
        MLP,
    )


def steps_first() -> bytes:
    """Steps first, in and out: [T, batch, 8] to [T, batch, 3]."""
    return net(
        """g (float[T, batch, 8] x) => (float[T, batch, 3] y) {
            a = MatMul(x, w1) c = Add(a, b1) r = Relu(c) g = MatMul(r, w2) y = Add(g, b2)
        }""",
        MLP,
    )


def sample_rate() -> bytes:
    """A number that is the same for all rows beside them."""
    return net(
        """g (float[N, 8] x, int64 rate) => (float[N, 3] y) {
            k = Cast<to: int = 1>(rate) d = Div(x, k)
            a = Gemm(d, w1, b1) r = Relu(a) y = Gemm(r, w2, b2)
        }""",
        MLP,
    )


def recurrent() -> bytes:
    """A state [layers, N, hidden] in and out."""
    return net(
        """g (float[N, 8] x, float[1, N, 16] h) => (float[N, 3] y, float[1, N, 16] hn) {
            u = Unsqueeze(x, zero) s, hn = GRU<hidden_size: int = 16>(u, W, R, B, , h)
            q = Squeeze(hn, zero) a = Gemm(q, w1, b1) r = Relu(a) y = Gemm(r, w2, b2)
        }""",
        {
            "W": (1, 48, 8),
            "R": (1, 48, 16),
            "B": (1, 96),
            "w1": (16, 32),
            "b1": (32,),
            "w2": (32, 3),
            "b2": (3,),
        },
        {"zero": np.array([0])},
    )


def frozen_row() -> bytes:
    """Frozen to one row by its reshapes."""
    return net(
        """g (float[1, 8] x) => (float[1, 3] y) {
            a = Gemm(x, w1, b1) r = Relu(a) q = Reshape(r, one) y = Gemm(q, w2, b2)
        }""",
        MLP,
        {"one": np.array([1, 32])},
    )


def branching_row() -> bytes:
    """Frozen to one row, whose sum says which way it goes."""
    return net(
        """g (float[1, 8] x) => (float[1, 3] y) {
            a = Gemm(x, w1, b1) r = Relu(a) h = Gemm(r, w2, b2)
            t = ReduceSum<keepdims: int = 0>(x) c = Greater(t, least)
            y = If (c) <
                then_branch = then () => (float[1, 3] u) { u = Tanh(h) },
                else_branch = other () => (float[1, 3] v) { v = Neg(h) }
            >
        }""",
        MLP,
        {"least": np.float32(4.0)},
    )


def no_rows() -> bytes:
    """One sample [8] in, one answer [3] out."""
    return net(
        """g (float[8] x) => (float[3] y) {
            q = Reshape(x, row) a = Gemm(q, w1, b1) r = Relu(a) h = Gemm(r, w2, b2) y = Squeeze(h, zero)
        }""",
        MLP,
        {"row": np.array([1, 8]), "zero": np.array([0])},
    )


def one_image() -> bytes:
    """One image [3, 8, 8] without an axis of rows."""
    return net(
        """g (float[3, 8, 8] x) => (float[4] y) {
            u = Unsqueeze(x, zero) c = Conv(u, w1, b1) r = Relu(c) p = GlobalAveragePool(r)
            f = Flatten(p) g = Gemm(f, w2, b2) y = Squeeze(g, zero)
        }""",
        {"w1": (16, 3, 3, 3), "b1": (16,), "w2": (16, 4), "b2": (4,)},
        {"zero": np.array([0])},
    )


def answer_a_step() -> bytes:
    """One row of tokens [1, L] in, a flat answer for each step [L] out."""
    return net(
        """g (int64[1, L] x) => (float[L] y) {
            e = Gather(table, x) a = MatMul(e, w1) c = Add(a, b1) r = Relu(c) g = MatMul(r, w3) y = Reshape(g, flat)
        }""",
        {"table": (20, 8), "w1": (8, 32), "b1": (32,), "w3": (32, 1)},
        {"flat": np.array([-1])},
    )


def flat_answers() -> bytes:
    """Steps of all rows one after the other: [N, L, 8] to [N·L, 3]."""
    return net(
        """g (float[N, L, 8] x) => (float[M, 3] y) {
            q = Reshape(x, flat) a = Gemm(q, w1, b1) r = Relu(a) y = Gemm(r, w2, b2)
        }""",
        MLP,
        {"flat": np.array([-1, 8])},
    )


def mixing() -> bytes:
    """Each answer is told beside the mean of the batch: rows may only run by themselves."""
    return net(
        """g (float[rows, 8] x) => (float[answers, 3] y) {
            a = Gemm(x, w1, b1) r = Relu(a) h = Gemm(r, w2, b2)
            m = ReduceMean<axes: ints = [0], keepdims: int = 1>(h) t = Tanh(m) y = Add(h, t)
        }""",
        MLP,
    )
