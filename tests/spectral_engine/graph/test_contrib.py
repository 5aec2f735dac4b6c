"""Operators of com.microsoft, each against onnxruntime, which defines them."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from spectral_engine.graph.loading import load

RANDOM = np.random.default_rng(0)


def rows(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def whole(high, *shape):
    return RANDOM.integers(0, high, shape).astype(np.int32)


X, Y = rows(2, 4, 8), rows(2, 4, 8)
VECTOR, OTHER = rows(8), rows(8)
ANGLES = np.outer(np.arange(10), 0.5 ** np.arange(2)).astype(np.float32)
COS, SIN = np.cos(ANGLES), np.sin(ANGLES)
LENGTHS = np.array([2, 4], np.int32)
KEYS = np.array([[1, 1, 0, 0], [1, 1, 1, 1]], np.int32)
PACKED = [X, rows(8, 24), rows(24)]
QKV = [X, Y, rows(2, 4, 8)]
EMBED = [whole(7, 2, 4), whole(2, 2, 4), rows(7, 8), rows(4, 8), rows(2, 8), VECTOR, OTHER]
LAST, TOTAL = np.array([3, 3], np.int32), np.array([4], np.int32)
NO_PAST = np.zeros((2, 1, 0, 16), np.float32)
WIDE = np.outer(np.arange(10), 0.5 ** np.arange(8)).astype(np.float32)

# op type, inputs (None: left out), attributes, outputs that are compared
CASES = {
    "gelu": ("Gelu", [X], {}, 1),
    "fast_gelu": ("FastGelu", [X], {}, 1),
    "fast_gelu_bias": ("FastGelu", [X, VECTOR], {}, 1),
    "quick_gelu": ("QuickGelu", [X], {"alpha": 1.5}, 1),
    "bias_gelu": ("BiasGelu", [X, VECTOR], {}, 1),
    "fused_conv": (
        "FusedConv",
        [rows(2, 3, 6, 6), rows(4, 3, 3, 3), rows(4)],
        {"activation": "LeakyRelu", "activation_params": [0.2], "pads": [1, 1, 1, 1]},
        1,
    ),
    "fused_conv_clip": (
        "FusedConv",
        [rows(2, 3, 6, 6), rows(4, 3, 3, 3)],
        {"activation": "Clip", "activation_params": [0.0, 1.0]},
        1,
    ),
    "fused_conv_sum": (
        "FusedConv",
        [rows(2, 3, 6, 6), rows(4, 3, 3, 3), rows(4), rows(2, 4, 4, 4)],
        {"activation": "Relu"},
        1,
    ),
    "fused_gemm": (
        "FusedGemm",
        [rows(4, 8), rows(3, 8), rows(3)],
        {"transB": 1, "activation": "LeakyRelu", "activation_alpha": 0.3},
        1,
    ),
    "fused_matmul": ("FusedMatMul", [X, Y], {"transB": 1, "alpha": 0.5}, 1),
    "fused_matmul_a": ("FusedMatMul", [X, Y], {"transA": 1}, 1),
    "skip_norm": ("SkipLayerNormalization", [X, Y, VECTOR, OTHER], {"epsilon": 1e-5}, 1),
    "skip_norm_sum": ("SkipLayerNormalization", [X, Y, VECTOR, OTHER, rows(8)], {}, (0, 3)),
    "skip_rms": ("SkipSimplifiedLayerNormalization", [X, Y, VECTOR, OTHER], {}, (0, 3)),
    "embed": ("EmbedLayerNormalization", [*EMBED, whole(2, 2, 4)], {}, (0, 1)),
    "attention": ("Attention", PACKED, {"num_heads": 2}, 1),
    "attention_causal": ("Attention", PACKED, {"num_heads": 2, "unidirectional": 1}, 1),
    "attention_lengths": ("Attention", [*PACKED, LENGTHS], {"num_heads": 2}, 1),
    "attention_keys": ("Attention", [*PACKED, KEYS], {"num_heads": 2}, 1),
    "attention_pairs": ("Attention", [*PACKED, whole(2, 2, 4, 4)], {"num_heads": 2}, 1),
    "attention_present": ("Attention", PACKED, {"num_heads": 2}, 2),
    "attention_sizes": (
        "Attention",
        [X, rows(8, 20), rows(20)],
        {"num_heads": 2, "qkv_hidden_sizes": [8, 8, 4]},
        1,
    ),
    "heads": ("MultiHeadAttention", QKV, {"num_heads": 2}, 1),
    "heads_bias": ("MultiHeadAttention", [*QKV, rows(24)], {"num_heads": 2, "scale": 0.3}, 1),
    "heads_masked": ("MultiHeadAttention", [*QKV, None, KEYS], {"num_heads": 2}, 1),
    "heads_added": (
        "MultiHeadAttention",
        [*QKV, None, None, rows(1, 2, 4, 4)],
        {"num_heads": 2},
        1,
    ),
    "heads_causal": ("MultiHeadAttention", QKV, {"num_heads": 2, "unidirectional": 1}, 1),
    "rotary": (
        "RotaryEmbedding",
        [X, np.array([3]), COS, SIN],
        {"num_heads": 2},
        1,
    ),
    "rotary_places": (
        "RotaryEmbedding",
        [rows(2, 2, 4, 4), np.array([[0, 1, 2, 3], [4, 5, 6, 7]]), COS, SIN],
        {"interleaved": 1},
        1,
    ),
    "grouped": (
        "GroupQueryAttention",
        [
            *(rows(2, 4, width) for width in (32, 16, 16)),
            *(NO_PAST, NO_PAST, LAST, TOTAL, np.cos(WIDE), np.sin(WIDE)),
        ],
        {"num_heads": 2, "kv_num_heads": 1, "do_rotary": 1},
        3,
    ),
}


def model_of(op_type, inputs, attributes, outputs, domain="com.microsoft", shapes=None):
    names = [f"i{position}" if value is not None else "" for position, value in enumerate(inputs)]
    wanted = range(outputs) if isinstance(outputs, int) else outputs
    results = [f"o{position}" if position in wanted else "" for position in range(max(wanted) + 1)]
    node = helper.make_node(op_type, names, results, name="n", domain=domain, **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in zip(names, inputs, strict=True)
            if value is not None
        ],
        [
            helper.make_tensor_value_info(
                name,
                TensorProto.INT32 if op_type.startswith("Embed") and name == "o1" else 1,
                shape,
            )
            for name, shape in zip(filter(None, results), shapes or [None] * 9, strict=False)
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


@pytest.mark.parametrize("name", CASES)
def test_it_computes_what_onnxruntime_computes(name):
    op_type, inputs, attributes, outputs = CASES[name]
    model = model_of(op_type, inputs, attributes, outputs)
    given = {f"i{position}": value for position, value in enumerate(inputs) if value is not None}
    expected = onnxruntime.InferenceSession(model).run(None, given)
    model = model_of(*CASES[name], shapes=[value.shape for value in expected])
    computed = load(model)(**{key: torch.from_numpy(value) for key, value in given.items()})
    for value, wanted in zip(computed.values(), expected, strict=True):
        np.testing.assert_allclose(value.detach().numpy(), wanted, rtol=2e-4, atol=2e-5)


def test_the_norm_that_onnxruntime_puts_into_the_default_domain_is_taken():
    model = model_of("SimplifiedLayerNormalization", [X, VECTOR], {"axis": -1}, 1, domain="")
    (expected,) = onnxruntime.InferenceSession(model).run(None, {"i0": X, "i1": VECTOR})
    model = model_of("SimplifiedLayerNormalization", [X, VECTOR], {}, 1, "", [X.shape])
    (computed,) = load(model)(i0=torch.from_numpy(X), i1=torch.from_numpy(VECTOR)).values()
    np.testing.assert_allclose(computed.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert onnx.load_from_string(model).opset_import[1].domain == "com.microsoft"
