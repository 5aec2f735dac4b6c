"""Lengths that a model leaves open: nothing that depends on one is taken for a constant, in training or in the file."""

from itertools import permutations
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper
from torch import nn

import spectral_engine as se
from examples.specimens import row_nets
from spectral_engine.data import Split
from spectral_engine.errors import ModelInvalid, NumericMismatch
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.surgery import cut
from spectral_engine.measure.exactness import compare
from spectral_engine.onnx_io.save import to_bytes
from tests.support.cutting import difference, in_onnxruntime, random_removal

ROWS = 96
RANDOM = np.random.default_rng(4)
RECIPE = {
    "target": {"keep_nodes": 0.5},
    "training": {"epochs": 1, "learning_rate": 1e-3, "swap_noise": 0.0},
    "prune": {"candidates": 1},
}


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def narrowed(folder, model, x):
    np.savez(folder / "data.npz", x=x)
    result = se.compress(model, folder / "data.npz", RECIPE)
    result.chosen.save(folder / "out.onnx")
    entry = result.report.data.chosen_candidate()
    assert entry.measurement.params < result.report.data.baseline.params
    return SimpleNamespace(
        session=onnxruntime.InferenceSession(str(folder / "out.onnx")), exactness=entry.exactness
    )


def rounding(stride):
    """A length that two roundings halve alike for some inputs only, told to a Reshape."""
    return row_nets.net(
        f"""g (float[N, 1, T] x) => (float[N, 4] y) {{
            lo = AveragePool<kernel_shape: ints = [{stride}], strides: ints = [{stride}]>(x)
            c = Conv<kernel_shape: ints = [1]>(lo, w1, b1) r = Relu(c)
            t = Transpose<perm: ints = [0, 2, 1]>(r) s = Shape(t) len = Gather(s, one)
            shape = Concat<axis: int = 0>(minus, len, heads) q = Reshape(t, shape)
            p = ReduceMean<axes: ints = [1], keepdims: int = 0>(q) f = Flatten(p) y = Gemm(f, w2, b2)
        }}""",
        {"w1": (16, 1, 1), "b1": (16,), "w2": (16, 4), "b2": (4,)},
        {"one": np.array([1]), "minus": np.array([-1]), "heads": np.array([2, 8])},
    )


@pytest.mark.parametrize("length", [32, 224, 640])
@pytest.mark.parametrize("stride", [8, 32])
def test_a_length_that_strides_round_stays_open_in_the_file(length, stride, tmp_path):
    candidate = narrowed(tmp_path, rounding(stride), floats(ROWS, 1, length))
    for other in (32, 64, 224, 320, 608):
        for rows in (1, 3):
            answer = candidate.session.run(None, {"x": np.ones((rows, 1, other), np.float32)})[0]
            assert answer.shape == (rows, 4)
    assert candidate.exactness.shapes >= 1 + 2 + 5


def sound(kernel):
    """A first convolution that needs a second of sound, or some of it."""
    return row_nets.net(
        f"""g (float[N, samples] x) => (float[N, 4] y) {{
            u = Unsqueeze(x, one) c = Conv<strides: ints = [{kernel // 2}]>(u, w1, b1) r = Relu(c)
            p = GlobalAveragePool(r) f = Flatten(p) y = Gemm(f, w2, b2)
        }}""",
        {"w1": (32, 1, kernel), "b1": (32,), "w2": (32, 4), "b2": (4,)},
        {"one": np.array([1])},
    )


@pytest.mark.parametrize("kernel", [400, 1024, 5000])
def test_a_model_that_needs_a_length_is_analysed_and_narrowed(kernel, tmp_path):
    assert se.analyze(sound(kernel)).floor.params < se.analyze(sound(kernel)).now.params
    narrowed(tmp_path, sound(kernel), floats(ROWS, 2 * kernel + 100))


def test_the_length_of_the_data_is_tried_first(tmp_path):
    """Only this length and its neighbours fit, and no list of usual ones holds it."""
    model = row_nets.net(
        """g (float[N, 8, L] x) => (float[N, 4] y) {
            c = Conv(x, w1, b1) r = Relu(c) f = Flatten(r) y = Gemm(f, w2, b2)
        }""",
        {"w1": (16, 8, 3), "b1": (16,), "w2": (16 * 45, 4), "b2": (4,)},
    )
    with pytest.raises(ModelInvalid, match="data beside it would say how long"):
        se.analyze(model)
    narrowed(tmp_path, model, floats(ROWS, 8, 47))
    analysis = se.analyze(model, data=tmp_path / "data.npz")
    assert analysis.floor.params < analysis.now.params
    assert analysis.data is not None


def test_one_axis_that_must_differ_from_the_rest_is_found_without_data():
    """Lines of text: 48 high, and as long as they are."""
    model = row_nets.net(
        """g (float[N, 3, H, W] x) => (float[N, S, 7] y) {
            c = Conv<strides: ints = [4, 2], pads: ints = [1, 1, 1, 1]>(x, w1, b1) r = Relu(c)
            p = AveragePool<kernel_shape: ints = [12, 1]>(r) q = Squeeze(p, two)
            t = Transpose<perm: ints = [0, 2, 1]>(q) m = MatMul(t, w2) y = Add(m, b2)
        }""",
        {"w1": (16, 3, 3, 3), "b1": (16,), "w2": (16, 7), "b2": (7,)},
        {"two": np.array([2])},
    )
    assert se.analyze(model, batch_size=1).floor.params < se.analyze(model).now.params


def frames(kernel, hop):
    """Frames of sound whose count and whose half of the channels are read from a shape, and told to a Reshape."""
    return row_nets.net(
        f"""g (float[N, samples] x) => (float[N, 4] y) {{
            u = Unsqueeze(x, one) c = Conv<strides: ints = [{hop}]>(u, w1, b1) r = Relu(c)
            t = Transpose<perm: ints = [0, 2, 1]>(r) s = Shape(t) len = Gather(s, one) width = Gather(s, two)
            half = Div(width, two) apart = Concat<axis: int = 0>(minus, len, two, half) q = Reshape(t, apart)
            joined = Concat<axis: int = 0>(minus, len, width) back = Reshape(q, joined)
            p = ReduceMean<axes: ints = [1], keepdims: int = 0>(back) f = Flatten(p) y = Gemm(f, w2, b2)
        }}""",
        {"w1": (16, 1, kernel), "b1": (16,), "w2": (16, 4), "b2": (4,)},
        {"one": np.array([1]), "two": np.array([2]), "minus": np.array([-1])},
    )


@pytest.mark.parametrize(("kernel", "hop"), [(400, 160), (1024, 512)])
def test_a_count_that_lengths_tried_first_round_alike_stays_open_in_the_file(kernel, hop, tmp_path):
    length = kernel + 8 * hop - 100
    model = frames(kernel, hop)
    candidate = narrowed(tmp_path, model, floats(ROWS, length))
    whole = onnxruntime.InferenceSession(model)
    for samples in (length, length + 32, length + 64, 2 * length, kernel + 3):
        x = floats(2, samples)
        assert candidate.session.run(None, {"x": x})[0].shape == whole.run(None, {"x": x})[0].shape


def test_shapes_that_a_file_states_for_values_in_between_are_not_believed(tmp_path):
    """Exporters leave those of their example there, though the length is open."""
    model = onnx.load_from_string(rounding(8))
    stated = onnx.helper.make_tensor_value_info("t", onnx.TensorProto.FLOAT, [2, 4, 16])
    model.graph.value_info.append(stated)
    candidate = narrowed(tmp_path, model.SerializeToString(), floats(ROWS, 1, 32))
    for other in (32, 64, 224):
        candidate.session.run(None, {"x": np.ones((2, 1, other), np.float32)})


def test_a_width_that_is_read_behind_an_operator_of_others_and_computed_with_stays(tmp_path):
    """No shape inference knows the operator: what scales by its width keeps that width."""
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
        g (float[N, L, 8] x) => (float[N, L, 4] y) {
            a = MatMul(x, w1) g = com.microsoft.BiasGelu(a, b1) s = Shape(g) width = Gather(s, two)
            f = Cast<to: int = 1>(width) q = Sqrt(f) d = Div(g, q) e = MatMul(d, w2) r = Relu(e)
            y = MatMul(r, w3)
        }"""
    )
    for name, array in {
        "w1": floats(8, 16),
        "b1": floats(16),
        "w2": floats(16, 16),
        "w3": floats(16, 4),
    }.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(2), "two"))
    narrowed(tmp_path, model.SerializeToString(), floats(ROWS, 5, 8))
    (kept,) = (
        layer for layer in se.analyze(model.SerializeToString()).untouched if layer.nodes == 16
    )
    assert kept.reason == "its width is read, and Sqrt computes with it"


def test_a_bias_with_axes_for_rows_and_steps_trains(tmp_path):
    model = row_nets.net(
        """g (float[N, L, 8] x) => (float[N, L, 4] y) {
            a = MatMul(x, w1) c = Add(b1, a) r = Relu(c) d = MatMul(r, w2) y = Add(d, b2)
        }""",
        {"w1": (8, 16), "b1": (1, 1, 16), "w2": (16, 4), "b2": (1, 1, 4)},
    )
    narrowed(tmp_path, model, floats(ROWS, 5, 8))


class Legacy(nn.Module):
    """Sizes that are read from shapes, in the ways that PyTorch's older exporter writes them."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.stem, self.narrow = nn.Conv1d(4, 16, 3, padding=1), nn.Conv1d(8, 8, 3, padding=1)
        self.mid, self.gate = nn.Conv1d(16, 16, 3, padding=1), nn.Linear(16, 16)
        self.qkv, self.proj, self.out = nn.Linear(16, 48), nn.Linear(16, 16), nn.Linear(16, 3)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)

    def forward(self, x):
        return self.way(self, F.relu(self.stem(x)))


def chunk(net, x):
    first, second = x.chunk(2, 1)
    return net.out(torch.cat([F.relu(net.narrow(first)), second], 1).mean(2))


def glu(net, x):
    gated = F.glu(x, 1)
    return net.out(torch.cat([gated, F.relu(net.narrow(gated))], 1).mean(2))


def squeeze_and_excite(net, x):
    weight = torch.sigmoid(net.gate(x.mean(2))).view(x.size(0), x.size(1), 1)
    return net.out(F.relu(net.mid(x * weight)).mean(2))


def attention(net, x):
    t = x.transpose(1, 2)
    rows, steps, width = t.shape
    q, k, v = net.qkv(t).reshape(rows, steps, 3, 4, width // 4).permute(2, 0, 3, 1, 4).unbind(0)
    a = (q @ k.transpose(-2, -1) * (width // 4) ** -0.5).softmax(-1)
    return net.out((t + net.proj((a @ v).transpose(1, 2).reshape(rows, steps, width))).mean(1))


def zeros(net, x):
    return net.out(F.relu(net.mid(x + torch.zeros(x.size(0), x.size(1), x.size(2)))).mean(2))


def masked_encoder(net, x):
    t = x.transpose(1, 2)
    mask = torch.triu(torch.full((t.size(1), t.size(1)), -1e9), diagonal=1)
    return net.out(net.layer(t, src_mask=mask).mean(1))


@pytest.mark.parametrize("way", [chunk, glu, squeeze_and_excite, attention, zeros, masked_encoder])
def test_sizes_that_are_read_from_shapes_follow_the_nodes_and_the_lengths(way, tmp_path):
    torch.manual_seed(0)
    file = tmp_path / "net.onnx"
    torch.onnx.export(
        Legacy(way).eval(), (torch.zeros(2, 4, 12),), str(file), dynamo=False, input_names=["x"],
        output_names=["y"], dynamic_axes={"x": {0: "batch", 2: "steps"}, "y": {0: "batch"}},
    )  # fmt: skip
    candidate = narrowed(tmp_path, file, floats(ROWS, 4, 12))
    whole = onnxruntime.InferenceSession(str(file))
    # The exporter bakes the length of its example into this one's attention: other lengths do not run before either.
    lengths = (12,) if way is masked_encoder else (12, 7, 40)
    for rows, steps in ((rows, steps) for rows in (1, 3) for steps in lengths):
        x = floats(rows, 4, steps)
        assert candidate.session.run(None, {"x": x})[0].shape == whole.run(None, {"x": x})[0].shape
    assert candidate.exactness.shapes >= 1 + 2 + (0 if way is masked_encoder else 5)


def test_a_cut_file_that_fails_at_another_length_is_not_handed_out():
    """What a number frozen to the traced length would do: it is found, though the rows themselves agree."""

    def net(shape):
        return row_nets.net(
            """g (float[N, L, 8] x) => (float[N, L, 3] y) {
                q = Reshape(x, shape) a = MatMul(q, w1) c = Add(a, b1) r = Relu(c)
                g = MatMul(r, w2) y = Add(g, b2)
            }""",
            row_nets.MLP,
            {"shape": np.array(shape)},
        )

    rows = Split({"x": floats(5, 6, 8)}, None)
    assert compare(net([0, -1, 8]), net([0, -1, 8]), rows).shapes == 1 + 2 + 5
    with pytest.raises(NumericMismatch, match="does not run on inputs of x"):
        compare(net([0, -1, 8]), net([-1, 6, 8]), rows)


def test_a_weight_with_one_entry_left_trains_on(tmp_path):
    """A bias of two entries, of which one goes: what is left is no constant."""
    model = row_nets.net(
        """g (float[N, 8] x) => (float[N, 3] y) {
            a = MatMul(x, w1) o = Reshape(off, flat) c = Add(a, o) r = Relu(c) y = Gemm(r, w2, b2)
        }""",
        {"w1": (8, 2), "off": (1, 2), "w2": (2, 3), "b2": (3,)},
        {"flat": np.array([2])},
    )
    np.savez(tmp_path / "data.npz", x=floats(ROWS, 8))
    recipe = RECIPE | {"prune": {"candidates": 1, "min_nodes": 1}}
    report = se.compress(model, tmp_path / "data.npz", recipe).report.data
    assert report.chosen_candidate().measurement.nodes == 1


def test_lengths_are_found_where_none_of_the_usual_ones_runs():
    """Windows of 20 × 4096 that must divide: the second axis runs at multiples of them beside short first ones."""
    model = row_nets.net(
        """g (float[N, 1, H, T] x) => (float[N, 4] y) {
            p = AveragePool<kernel_shape: ints = [5, 4096], strides: ints = [5, 4096]>(x)
            f = Reshape(p, shape) h = MatMul(f, w1) r = Relu(h) y = MatMul(r, w2)
        }""",
        {"w1": (4, 16), "w2": (16, 4)},
        {"shape": np.array([0, 4])},
    )
    assert se.analyze(model).layers[0].removable == 16


def joined_heads(order):
    """Two heads of six, whose axes are put in this order before they are joined to twelve again."""
    return row_nets.net(
        f"""g (float[N, T, 8] x) => (float[N, T, 3] y) {{
            u = MatMul(x, w0) h = Add(u, b0) s = Shape(x) nt = Slice(s, zero, two)
            apart = Concat<axis: int = 0>(nt, heads) together = Concat<axis: int = 0>(nt, twelve)
            r = Reshape(h, apart) p = Transpose<perm: ints = [0, 2, 1, 3]>(r) v = Sigmoid(p)
            w = Transpose<perm: ints = {order}>(v) f = Reshape(w, together)
            c = MatMul(f, w1) d = Relu(c) y = MatMul(d, w2)
        }}""",
        {"w0": (8, 12), "b0": (12,), "w1": (12, 16), "w2": (16, 3)},
        {
            "zero": np.array([0]),
            "two": np.array([2]),
            "heads": np.array([2, 6]),
            "twelve": np.array([12]),
        },
    )


def heads_that_stay(model, length):
    """Cut at random, run beside the mask at other lengths and numbers of rows; return the heads that are left."""
    module = load(model)
    coupling = couple(module, {"x": (length, 8)})
    removed = random_removal(coupling)
    assert removed.any()
    cut_model = cut(module.model, coupling, removed)
    files = to_bytes(mask(module.model, coupling, removed)), to_bytes(cut_model)
    for rows, steps in [(2, length), (3, length), (5, length), (2, length + 1), (4, 2 * length)]:
        x = torch.from_numpy(floats(rows, steps, 8))
        masked, narrow = (in_onnxruntime(file, {"x": x}) for file in files)
        assert difference(masked, narrow) < 1e-5
    return cut_model.graph.initializers["w0"].shape[1] // 6


@pytest.mark.parametrize(
    ("order", "length"),
    [
        *((order, 3) for order in permutations(range(4))),
        *((order, length) for order in [(0, 3, 1, 2), (3, 2, 1, 0)] for length in (1, 2, 6, 12)),
    ],
)
def test_heads_go_where_they_lie_alike_whatever_the_rows_and_lengths(order, length):
    """Joined across rows or steps, they lie otherwise among the twelve for every number of rows or steps."""
    side_by_side = order.index(1) == 3 or order[2:] == (1, 3)
    assert heads_that_stay(joined_heads([*order]), length) == (1 if side_by_side else 2)


def test_a_file_that_opens_by_what_it_says_of_sizes_opens_when_it_is_cut():
    """onnxruntime infers no entries for these sizes where nothing says that there are four."""
    model = onnx.load_from_string(
        row_nets.net(
            """g (float[N, 3, H, W] x) => (float[N, 2, H, W] y) {
                c = Conv<kernel_shape: ints = [1, 1]>(x, w1, b1) r = Relu(c) s = Shape(r)
                d = Conv<kernel_shape: ints = [1, 1], strides: ints = [2, 2]>(r, w2) t = Relu(d)
                sb = Shape(b2) e = Gather(sb, zero) last = Reshape(e, ones) f = Shape(t)
                head = Slice(f, zeros, last, zeros) tail = Slice(s, two, four, zeros)
                sizes = Concat<axis: int = 0>(head, tail) u = Resize(t, , , sizes)
                y = Conv<kernel_shape: ints = [1, 1]>(u, w3, b2)
            }""",
            {"w1": (8, 3, 1, 1), "b1": (8,), "w2": (6, 8, 1, 1), "w3": (2, 6, 1, 1), "b2": (2,)},
            {
                "zero": np.int64(0),
                "zeros": np.array([0]),
                "ones": np.array([1]),
                "two": np.array([2]),
                "four": np.array([4]),
            },
        )
    )
    model.graph.value_info.append(helper.make_tensor_value_info("sizes", TensorProto.INT64, [4]))
    module = load(model.SerializeToString())
    coupling = couple(module)
    removed = random_removal(coupling)
    files = mask(module.model, coupling, removed), cut(module.model, coupling, removed)
    x = {"x": torch.from_numpy(floats(2, 3, 6, 10))}
    masked, narrow = (in_onnxruntime(to_bytes(file), x) for file in files)
    assert removed.any()
    assert difference(masked, narrow) < 1e-5
