"""Nets written out by hand: sizes that a graph reads and computes with, half and double precision, classical heads."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from examples.specimens import row_nets, scikit_exports
from examples.specimens.row_nets import MLP, net

WIDE = {"w1": (8, 24), "b1": (24,), "w2": (24, 3), "b2": (3,)}


def read_heads() -> bytes:
    """Heads whose length and number of rows are read, and put together with constants."""
    return net(
        """g (float[N, T, 8] x) => (float[N, T, 3] y) {
            u = MatMul(x, w0) h = Add(u, b0)
            s = Shape(h) n = Gather(s, zero) t = Gather(s, one)
            n1 = Unsqueeze(n, axes) t1 = Unsqueeze(t, axes)
            apart = Concat<axis: int = 0>(n1, t1, two, six) together = Concat<axis: int = 0>(n1, t1, twelve)
            r = Reshape(h, apart) p = Transpose<perm: ints = [0, 2, 1, 3]>(r)
            q = Transpose<perm: ints = [0, 2, 3, 1]>(r) m = MatMul(p, q) a = Softmax<axis: int = -1>(m)
            v = MatMul(a, p) w = Transpose<perm: ints = [0, 2, 1, 3]>(v) f = Reshape(w, together)
            c = MatMul(f, w1) d = Relu(c) y = MatMul(d, w2)
        }""",
        {"w0": (8, 12), "b0": (12,), "w1": (12, 16), "w2": (16, 3)},
        {
            "zero": np.int64(0),
            "one": np.int64(1),
            "axes": np.array([0]),
            "two": np.array([2]),
            "six": np.array([6]),
            "twelve": np.array([12]),
        },
    )


def read_window() -> bytes:
    """Half of the steps, cut out by bounds that are computed, and a mean by a count that is read."""
    return net(
        """g (float[N, T, 8] x) => (float[N, 3] y) {
            a = MatMul(x, w1) c = Add(a, b1) r = Relu(c)
            s = Shape(x) t = Gather(s, at) half = Div(t, two) end = Add(half, at)
            k = Slice(r, start, end, at) m = ReduceSum<keepdims: int = 0>(k, at)
            n = Shape(k) o = Gather(n, at) f = Cast<to: int = 1>(o) d = Div(m, f)
            g = MatMul(d, w2) y = Add(g, b2)
        }""",
        WIDE,
        {"at": np.array([1]), "two": np.array([2]), "start": np.array([0])},
    )


def read_states() -> bytes:
    """First states of zeros and places of ones, as many as there are rows and steps."""
    return net(
        """g (float[N, T, 8] x) => (float[N, T, 3] y, float[1, N, 6] last) {
            s = Shape(x) n = Gather(s, zero) state = Concat<axis: int = 0>(one, n, six)
            h = ConstantOfShape(state) z = Transpose<perm: ints = [1, 0, 2]>(x)
            o, last = GRU<hidden_size: int = 6>(z, W, R, B, , h)
            q = Squeeze(o, one) p = Transpose<perm: ints = [1, 0, 2]>(q)
            e = Shape(p) ones = Expand(unit, e) b = Add(p, ones)
            c = MatMul(b, w1) d = Relu(c) y = MatMul(d, w2)
        }""",
        {"W": (1, 18, 8), "R": (1, 18, 6), "B": (1, 36), "w1": (6, 16), "w2": (16, 3)},
        {
            "zero": np.array([0]),
            "one": np.array([1]),
            "six": np.array([6]),
            "unit": np.float32(1.0),
        },
    )


def read_width() -> bytes:
    """A product scaled by the width that its graph reads, and a split whose sizes are computed from it."""
    return net(
        """g (float[N, 8] x) => (float[N, 3] y) {
            a = Gemm(x, w1, b1) r = Relu(a) s = Shape<start: int = 1>(r)
            f = Cast<to: int = 1>(s) q = Sqrt(f) d = Div(r, q)
            h = Div(s, two) parts = Concat<axis: int = 0>(h, h) u, v = Split<axis: int = 1>(d, parts)
            g = Mul(u, v) k = MatMul(g, w3) y = Add(k, b2)
        }""",
        {"w1": (8, 24), "b1": (24,), "w3": (12, 3), "b2": (3,)},
        {"two": np.array([2])},
    )


def read() -> dict[str, bytes]:
    """Return the nets whose sizes are read from shapes."""
    made = (read_heads, read_window, read_states, read_width)
    return {make.__name__: make() for make in made}


def rows() -> dict[str, bytes]:
    """Return the nets whose rows lie elsewhere than first, or nowhere."""
    names = (
        *("time_major", "steps_first", "sample_rate", "recurrent", "frozen_row", "branching_row"),
        *("no_rows", "one_image", "answer_a_step", "flat_answers", "mixing"),
    )
    return {name: getattr(row_nets, name)() for name in names}


def precise() -> dict[str, bytes]:
    """Return nets in half and in double precision."""
    return {
        "half": _in_type(row_nets.steps_first(), TensorProto.FLOAT16),
        "half_window": _in_type(read_window(), TensorProto.FLOAT16),
        "double": _in_type(read_heads(), TensorProto.DOUBLE),
        "double_rows": _in_type(row_nets.flat_answers(), TensorProto.DOUBLE),
        "mixed": _half_inside(),
    }


def _in_type(source: bytes, kind: int) -> bytes:
    """Return a net with all that is single precision in it in another one."""
    model, array = onnx.load_from_string(source), helper.tensor_dtype_to_np_dtype(kind)
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = kind
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            changed = numpy_helper.to_array(tensor).astype(array)
            tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == 1:
                attribute.i = kind
    return model.SerializeToString()


def _half_inside() -> bytes:
    """Single precision at the door, half inside."""
    model = onnx.load_from_string(
        net(
            """g (float[N, 8] x) => (float[N, 3] y) {
                h = Cast<to: int = 10>(x) a = Gemm(h, w1, b1) r = Relu(a) g = Gemm(r, w2, b2) y = Cast<to: int = 1>(g)
            }""",
            MLP,
        )
    )
    for tensor in model.graph.initializer:
        half = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    return model.SerializeToString()


def classical() -> dict[str, bytes]:
    """Return nets with heads and fronts of ai.onnx.ml."""
    made = {
        "maps": scikit_exports.exported(),
        "numbers": scikit_exports.exported(text=False, ending="plain", front="Scaler"),
        "columns": scikit_exports.exported(ending="columns", front="Imputer"),
        "two_classes": scikit_exports.exported(classes=2, text=False, front="Normalizer"),
    }
    return {name: model.SerializeToString() for name, model in made.items()}
