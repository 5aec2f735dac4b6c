"""Graphs in the forms that other exporters and optimisers write: tf2onnx, skl2onnx, onnxruntime, old opsets."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Shapes = dict[str, tuple[int, ...]]


def build(text: str, shapes: Shapes, dtype: type = np.float32) -> onnx.ModelProto:
    """Parse a graph and give it random initializers of these shapes."""
    model = onnx.parser.parse_model(text)
    generator = np.random.default_rng(3)
    for name, shape in shapes.items():
        values = weights(shape, generator).astype(dtype)
        values = abs(values) + 0.5 if name == "v" and len(shape) == 1 else values  # a variance
        model.graph.initializer.append(numpy_helper.from_array(values.astype(dtype), name))
    return model


def weights(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
    values: NDArray[np.float64] = generator.normal(size=shape) / max(
        1.0, np.sqrt(np.prod(shape[1:]))
    )
    return values


def keras() -> onnx.ModelProto:
    """tf2onnx: images with channels last, turned for the convolutions and back; flattened channels last."""
    return build(
        """<ir_version: 8, opset_import: ["": 15]> g (float[N, 8, 8, 3] x) => (float[N, 5] y)
        <int64[2] flat = {-1, 160}> {
            t = Transpose<perm = [0, 3, 1, 2]>(x)
            a = Conv<kernel_shape = [3, 3], auto_pad = "SAME_UPPER">(t, w1, b1)
            r = Relu(a)
            p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(r)
            c = Conv<kernel_shape = [1, 1]>(p, w2)
            u = Transpose<perm = [0, 2, 3, 1]>(c)
            s = Add(u, b2)
            e = Elu(s)
            f = Reshape(e, flat)
            m = MatMul(f, w3)
            n = Add(m, b3)
            h = Sigmoid(n)
            o = MatMul(h, w4)
            y = Add(o, b4)
        }""",
        {
            "w1": (8, 3, 3, 3),
            "b1": (8,),
            "w2": (10, 8, 1, 1),
            "b2": (10,),
            "w3": (160, 12),
            "b3": (12,),
        }
        | {"w4": (12, 5), "b4": (5,)},
    )


def scikit() -> onnx.ModelProto:
    """skl2onnx: matrices and rows of biases, scores and a label."""
    return build(
        """<ir_version: 8, opset_import: ["": 15]> g (float[N, 12] x) => (float[N, 5] scores, int64[N] label) {
            c = Cast<to = 1>(x)
            m = MatMul(c, w1)  a = Add(m, b1)  r = Relu(a)
            n = MatMul(r, w2)  d = Add(n, b2)  s = Tanh(d)
            o = MatMul(s, w3)  e = Add(o, b3)
            scores = Softmax<axis = 1>(e)
            label = ArgMax<axis = 1, keepdims = 0>(scores)
        }""",
        {"w1": (12, 20), "b1": (1, 20), "w2": (20, 14), "b2": (1, 14), "w3": (14, 5), "b3": (1, 5)},
    )


def selected() -> onnx.ModelProto:
    """Steps ranked, looked up, overwritten and chosen by index, all features of a step alike."""
    return build(
        """<ir_version: 8, opset_import: ["": 16]> g (float[N, 6, 12] x) => (float[N, 5] y)
        <int64[1] three = {3}, int64[2, 1] steps = {4, 1}, bool[6] some = {1, 0, 1, 1, 0, 1}> {
            m = MatMul(x, w1)
            r = Relu(m)
            best, places = TopK<axis = 1>(r, three)
            worst = Neg(best)
            turned = ScatterElements<axis = 1>(r, places, worst)
            again = GatherElements<axis = 1>(turned, places)
            rest = Compress<axis = 1>(turned, some)
            all = Concat<axis = 1>(again, rest)
            n = MatMul(all, w2)
            t = Transpose<perm = [1, 0, 2]>(n)
            two = GatherND(t, steps)
            twice = Add(two, two)
            written = ScatterND(t, steps, twice)
            p = ReduceMean<axes = [0], keepdims = 0>(written)
            h = Tanh(p)
            y = MatMul(h, w3)
        }""",
        {"w1": (12, 20), "w2": (20, 16), "w3": (16, 5)},
    )


def turned() -> onnx.ModelProto:
    """Every way to write a dense layer: turned Gemms, the weight on the left, scaled, shared through Transpose."""
    return build(
        """<ir_version: 8, opset_import: ["": 17]> g (float[N, 12] x) => (float[N, 5] y) {
            a = Gemm<alpha = 0.5, transB = 1>(x, w1, b1)
            r = Relu(a)
            i = Identity(w2)
            b = MatMul(r, i)
            t = Tanh(b)
            k = Transpose<perm = [1, 0]>(w2)
            c = MatMul(t, k)
            q = Add(c, r)
            u = Transpose<perm = [1, 0]>(q)
            d = MatMul(w3, u)
            v = Transpose<perm = [1, 0]>(d)
            z = Relu(v)
            y = Gemm<beta = 2.0>(z, w4, b4)
        }""",
        {"w1": (16, 12), "b1": (16,), "w2": (16, 10), "w3": (9, 16), "w4": (9, 5), "b4": (5,)},
    )


def constants() -> onnx.ModelProto:
    """Weights that stand in Constant nodes."""
    model = turned()
    nodes = [
        helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in model.graph.initializer
    ]
    body = list(model.graph.node)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend([*nodes, *body])
    return model


def old() -> onnx.ModelProto:
    """Opset 7: attributes where inputs are now."""
    return build(
        """<ir_version: 3, opset_import: ["": 7]>
        g (float[N, 3, 8, 8] x, float[16, 3, 3, 3] w1, float[16] b1, float[16] s, float[16] t, float[16] m, float[16] v,
           float[8, 8, 1, 1] w2, float[5, 16] w3, float[5] b3) => (float[N, 5] y) {
            a = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w1, b1)
            n = BatchNormalization(a, s, t, m, v)
            r = Clip<min = 0.0, max = 6.0>(n)
            l, h = Split<axis = 1, split = [8, 8]>(r)
            c = Conv<kernel_shape = [1, 1]>(h, w2)
            k = Slice<axes = [1], starts = [0], ends = [8]>(r)
            j = Concat<axis = 1>(c, k)
            p = Pad<mode = "constant", pads = [0, 0, 1, 1, 0, 0, 1, 1]>(j)
            g = GlobalAveragePool(p)
            f = Flatten(g)
            d = Dropout<ratio = 0.5>(f)
            y = Gemm<transB = 1>(d, w3, b3)
        }""",
        {
            "w1": (16, 3, 3, 3),
            "b1": (16,),
            "s": (16,),
            "t": (16,),
            "m": (16,),
            "v": (16,),
            "w2": (8, 8, 1, 1),
        }
        | {"w3": (5, 16), "b3": (5,)},
    )


def half() -> onnx.ModelProto:
    """Half precision throughout."""
    return build(
        """<ir_version: 8, opset_import: ["": 17]> g (float16[N, 12] x) => (float16[N, 5] y) {
            a = Gemm<transB = 1>(x, w1, b1)  r = Relu(a)
            n = LayerNormalization<axis = -1>(r, s, t)
            b = MatMul(n, w2)  c = Sigmoid(b)  y = MatMul(c, w3)
        }""",
        {"w1": (20, 12), "b1": (20,), "s": (20,), "t": (20,), "w2": (20, 14), "w3": (14, 5)},
        np.float16,
    )


def optimised() -> onnx.ModelProto:
    """A transformer block as onnxruntime's optimiser fuses it."""
    return build(
        """<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]> g (float[N, 6, 12] x) => (float[N, 5] y) {
            e = MatMul(x, w0)
            a = com.microsoft.Attention<num_heads = 4>(e, w1, b1)
            m = com.microsoft.FusedMatMul<alpha = 0.5>(a, w2)
            s = com.microsoft.SkipLayerNormalization<epsilon = 0.00001>(m, e, g1, t1, b2)
            h = MatMul(s, w3)
            b = com.microsoft.BiasGelu(h, b3)
            o = MatMul(b, w4)
            z = com.microsoft.SkipLayerNormalization<epsilon = 0.00001>(o, s, g2, t2, b4)
            r = ReduceMean<axes = [1], keepdims = 0>(z)
            y = com.microsoft.FusedGemm<activation = "Relu", transB = 1>(r, w5, b5)
        }""",
        {"w0": (12, 16), "w1": (16, 48), "b1": (48,), "w2": (16, 16), "g1": (16,), "t1": (16,)}
        | {"b2": (16,), "w3": (16, 24), "b3": (24,), "w4": (24, 16), "g2": (16,), "t2": (16,)}
        | {"b4": (16,), "w5": (5, 16), "b5": (5,)},
    )


def fused_heads() -> onnx.ModelProto:
    """Attention as one operator, queries sharing keys, between an einsum and an RMS norm."""
    return build(
        """<ir_version: 10, opset_import: ["": 23]> g (float[N, 6, 12] x) => (float[N, 5] y)
        <int64[1] axes = {1}> {
            e = Einsum<equation = "bti,io->bto">(x, w0)
            n = RMSNormalization<axis = -1>(e, g)
            q = MatMul(n, wq)  k = MatMul(n, wk)  v = MatMul(n, wv)
            a = Attention<q_num_heads = 4, kv_num_heads = 2, is_causal = 1>(q, k, v)
            o = MatMul(a, wo)
            s = Add(e, o)
            r = ReduceMax<keepdims = 0>(s, axes)
            y = Gemm<transB = 1>(r, w5, b5)
        }""",
        {"w0": (12, 16), "g": (16,), "wq": (16, 16), "wk": (16, 8), "wv": (16, 8), "wo": (16, 16)}
        | {"w5": (5, 16), "b5": (5,)},
    )


HANDMADE = {
    "keras": (keras, (8, 8, 3)),
    "scikit": (scikit, (12,)),
    "selected": (selected, (6, 12)),
    "turned": (turned, (12,)),
    "constants": (constants, (12,)),
    "old": (old, (3, 8, 8)),
    "half": (half, (12,)),
    "optimised": (optimised, (6, 12)),
    "fused_heads": (fused_heads, (6, 12)),
}
