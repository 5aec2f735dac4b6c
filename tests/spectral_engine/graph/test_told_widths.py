"""Widths that a graph reads and tells: cut and masked file agree on them, or the nodes stay."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from examples.specimens.fuzz_written import read_width
from examples.specimens.row_nets import MLP, net
from spectral_engine.errors import ModelInvalid, UnsupportedOperator
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.save import to_bytes
from tests.support.cutting import difference, in_onnxruntime, random_removal


def cut_and_masked(model, inputs):
    """Return what both answer, and how many groups went."""
    module = load(model)
    coupling = couple(module)
    removed = random_removal(coupling)
    files = [to_bytes(make(module.model, coupling, removed)) for make in (cut, mask)]
    return [in_onnxruntime(file, inputs) for file in files], int(removed.sum())


def test_a_node_may_read_one_size_twice():
    model = onnx.load_from_string(read_width())
    # Where its width is computed with, the nodes stay.
    for name in ("Cast", "Sqrt", "Div"):
        model.graph.node.remove(next(node for node in model.graph.node if node.op_type == name))
    next(node for node in model.graph.node if node.op_type == "Split").input[0] = "r"
    (narrow, wide), gone = cut_and_masked(model.SerializeToString(), {"x": torch.randn(3, 8)})
    assert gone
    assert difference(narrow, wide) < 1e-5


@pytest.mark.parametrize("told", ["s", "last"])
def test_nodes_whose_number_is_answered_stay(told):
    model = net(
        f"""g (float[N, 8] x) => (float[N, 3] y, int64[W] {told}) {{
            a = Gemm(x, w1, b1) r = Relu(a) s = Shape(r) last = Gather(s, one)
            k = Concat<axis: int = 0>(rest, last) e = Reshape(r, k) y = Gemm(e, w2, b2)
        }}""",
        MLP,
        {"one": np.array([1]), "rest": np.array([-1])},
    )
    assert "its width is read, and answered" in couple(load(model)).reasons.values()
    (narrow, wide), _ = cut_and_masked(model, {"x": torch.randn(3, 8)})
    assert all(np.array_equal(one, other) for one, other in zip(narrow, wide, strict=True))


def test_a_width_that_another_length_would_read_stays():
    model = net(
        """g (float[N, T, 8] x) => (float[N, T, 3] y) {
            a = MatMul(x, w1) c = Add(a, b1) r = Relu(c) n = Shape(r)
            s = Shape(x) t = Gather(s, one) half = Div(t, two) o = Gather(n, half)
            f = Cast<to: int = 1>(o) d = Div(r, f) g = MatMul(d, w2) y = Add(g, b2)
        }""",
        MLP,
        {"one": np.array([1]), "two": np.array([2])},
    )
    # Of five steps the last number of the shape is taken: of other lengths, others.
    (narrow, wide), _ = cut_and_masked(model, {"x": torch.randn(3, 5, 8)})
    assert difference(narrow, wide) < 1e-5


def test_nodes_whose_number_is_stated_in_what_is_answered_stay():
    model = net(
        """g (float[N, T, 8] x) => (float[N, T, 3] y, int64[3] state) {
            s = Shape(x) n = Gather(s, zero) state = Concat<axis: int = 0>(one, n, six)
            h = ConstantOfShape(state) z = Transpose<perm: ints = [1, 0, 2]>(x)
            o, last = GRU<hidden_size: int = 6>(z, W, R, B, , h) q = Squeeze(o, one)
            p = Transpose<perm: ints = [1, 0, 2]>(q) c = MatMul(p, w1) d = Relu(c) y = MatMul(d, w2)
        }""",
        {"W": (1, 18, 8), "R": (1, 18, 6), "B": (1, 36), "w1": (6, 16), "w2": (16, 3)},
        {"zero": np.array([0]), "one": np.array([1]), "six": np.array([6])},
    )
    (narrow, wide), gone = cut_and_masked(model, {"x": torch.randn(3, 5, 8)})
    assert gone
    assert all(np.allclose(one, other, atol=1e-5) for one, other in zip(narrow, wide, strict=True))


@pytest.mark.parametrize("keep", [0, 1, 2, 3])
def test_axes_are_kept_where_keepdims_is_one(keep):
    model = net(
        f"""g (float[N, T, 8] x) => (float y) {{
            a = MatMul(x, w1) c = Add(a, b1) r = Relu(c) m = ReduceSum<keepdims: int = {keep}>(r, one)
            g = MatMul(m, w2) y = Add(g, b2)
        }}""",
        MLP,
        {"one": np.array([1])},
    )
    (narrow, wide), gone = cut_and_masked(model, {"x": torch.randn(3, 5, 8)})
    assert gone
    assert narrow[0].ndim == (3 if keep == 1 else 2)
    assert difference(narrow, wide) < 1e-5


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Gather", ["r", "one"], ["c"], axis=7),
        helper.make_node("Slice", ["r", "one", "two", "axis"], ["c"]),
        helper.make_node("ReduceProd", ["r"], ["c"], axes=[7]),
        helper.make_node("LayerNormalization", ["r", "b1"], ["c"], axis=7),
        helper.make_node("Gemm", ["b1", "w1"], ["c"], transB=1),
    ],
    ids=lambda node: node.op_type,
)
def test_what_lacks_an_axis_is_refused_at_its_node(node):
    model = onnx.load_from_string(
        net(
            "g (float[N, 8] x) => (float[N, 32] y) { a = Gemm(x, w1, b1) r = Relu(a) c = Neg(r) y = Neg(c) }",
            {"w1": (8, 32), "b1": (32,)},
            {"one": np.array([1]), "two": np.array([2]), "axis": np.array([7])},
        )
    )
    index = next(i for i, one in enumerate(model.graph.node) if "c" in one.output)
    node.name = "odd"
    model.graph.node[index].CopyFrom(node)
    module = load(model.SerializeToString())
    with pytest.raises(ModelInvalid, match="'odd'"):
        module(x=torch.ones(2, 8))


def test_what_nobody_reads_does_not_stand_in_the_way():
    """A second transpose of the heads, whose answer is not read, is not computed."""
    model = net(
        """g (float[N, 4, 8] x) => (float[N, 4, 3] y) {
            u = MatMul(x, w1) heads = Reshape(u, apart) v = Sigmoid(heads)
            unread = Transpose<perm: ints = [0, 2, 1, 3]>(heads)
            again = Transpose<perm: ints = [0, 2, 1, 3]>(unread)
            f = Reshape(v, together) y = MatMul(f, w2)
        }""",
        {"w1": (8, 12), "w2": (12, 3)},
        {"apart": np.array([0, 0, 2, 6]), "together": np.array([0, 0, 12])},
    )
    (narrow, wide), _ = cut_and_masked(model, {"x": torch.randn(3, 4, 8)})
    assert difference(narrow, wide) < 1e-5


def test_a_vector_in_the_place_of_a_matrix_is_refused_by_name():
    model = net(
        "g (float[N, 8] x) => (float[N, 3] y) { a = Gemm(x, w1, b1) y = Gemm(a, w2) }",
        MLP,
    )
    broken = onnx.load_from_string(model)
    broken.graph.node[1].input[1] = "b1"
    with pytest.raises(UnsupportedOperator, match="one operand is a vector"):
        couple(load(broken.SerializeToString()))
