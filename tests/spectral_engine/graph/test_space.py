"""Nodes along an axis that an operator takes for space or time: they stay where it mixes places, else they may go."""

import numpy as np
import pytest
import torch

from examples.specimens.row_nets import net
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.save import to_bytes
from tests.support.cutting import difference, in_onnxruntime, random_removal

MIXING = {
    "conv": ("Conv<kernel_shape: ints = [3], pads: ints = [1, 1]>(r, k3)", 16),
    "strided": ("Conv<kernel_shape: ints = [1], strides: ints = [2]>(r, k1)", 8),
    "padded": ("Conv<kernel_shape: ints = [1], pads: ints = [1, 1]>(r, k1)", 18),
    "depthwise": ("Conv<kernel_shape: ints = [3], pads: ints = [1, 1], group: int = 4>(r, kd)", 16),
    "transposed": ("ConvTranspose<kernel_shape: ints = [2], strides: ints = [2]>(r, kt)", 32),
    "maximum": ("MaxPool<kernel_shape: ints = [2], strides: ints = [2]>(r)", 8),
    "mean": ("AveragePool<kernel_shape: ints = [3], strides: ints = [1], pads: ints = [1, 1]>(r)", 16),
    "norm": ("LpPool<kernel_shape: ints = [2], strides: ints = [2]>(r)", 8),
    "all": ("GlobalAveragePool(r)", 1),
    "largest": ("GlobalMaxPool(r)", 1),
    "instances": ("InstanceNormalization(r, b, c)", 16),
    "resized": ("Resize<mode: string = \"nearest\">(r, , scales)", 32),
}  # fmt: skip
PASSING = {
    "pointwise": ("Conv<kernel_shape: ints = [1]>(r, k1, b)", 16),
    "pointwise_transposed": ("ConvTranspose<kernel_shape: ints = [1]>(r, k1, b)", 16),
    "batch_norm": ("BatchNormalization(r, b, c, c, b)", 16),
    "slopes": ("PRelu(r, slopes)", 16),
}
CONV = "c = Conv<kernel_shape: ints = [3], pads: ints = [1, 1]>(x, w1) r = Sigmoid(c)"
IMAGES = {
    "unpooled": (
        """p, i = MaxPool<kernel_shape: ints = [2], strides: ints = [2]>(r)
        s = Relu(p) m = MaxUnpool<kernel_shape: ints = [2], strides: ints = [2]>(s, i)""",
        12,
    ),
    "unpooled_to_a_shape": (
        """p, i = MaxPool<kernel_shape: ints = [2], strides: ints = [2]>(r)
        m = MaxUnpool<kernel_shape: ints = [2], strides: ints = [2]>(p, i, whole)""",
        12,
    ),
    "columns": (
        """b = Reshape(r, columns) i = Col2Im<pads: ints = [0, 0, 0, 0]>(b, image, block)
        f = Reshape(i, flat) m = Identity(f)""",
        3,
    ),
    "cropped": ("m = CenterCropPad<axes: ints = [2]>(r, five)", 12),
    "padded": ("m = CenterCropPad<axes: ints = [-1]>(r, eleven)", 12),
}
TOLD = {
    "places_read": (
        """p, i = MaxPool<kernel_shape: ints = [2], strides: ints = [2]>(r) n = Cast<to: int = 1>(i)
        m = Mul(p, n)""",
        "its places are counted, and read as numbers",
    ),
    "cropped_nodes": ("m = CenterCropPad(r, all)", "is cropped or padded"),
}


def narrowed_at_random(model, rows):
    """Return the coupling, what was removed, and how far the masked and the cut file are apart."""
    module = load(model)
    coupling = couple(module)
    removed = random_removal(coupling)
    x = {"x": torch.randn(rows, 4, 8, generator=torch.Generator().manual_seed(0))}
    files = mask(module.model, coupling, removed), cut(module.model, coupling, removed)
    apart = difference(*(in_onnxruntime(to_bytes(file), x) for file in files))
    return coupling, removed, apart


def cut_and_masked(operator, width):
    """Sixteen nodes on the last axis go through an operator to which that axis is space."""
    model = net(
        f"""g (float[N, 4, 8] x) => (float[N, 4, 3] y) {{
            u = MatMul(x, w1) r = Sigmoid(u) m = {operator} y = MatMul(m, w2)
        }}""",
        {"w1": (8, 16), "w2": (width, 3), "k1": (4, 4, 1), "k3": (4, 4, 3), "kd": (4, 1, 3), "kt": (4, 4, 2)},
        {
            "b": np.array([0.5, 1, 2, 0.7], np.float32),
            "c": np.array([-1, 1, 0, 3], np.float32),
            "slopes": np.full((4, 1), 0.2, np.float32),
            "scales": np.array([1, 1, 2], np.float32),
        },
    )  # fmt: skip
    return narrowed_at_random(model, rows=3)


@pytest.mark.parametrize("name", MIXING)
def test_nodes_whose_places_are_mixed_stay_and_are_told(name):
    coupling, removed, apart = cut_and_masked(*MIXING[name])
    assert apart == 0.0
    assert not removed[coupling.layers[0].groups].any()
    reasons = {coupling.reasons[group] for group in coupling.layers[0].groups.tolist()}
    assert len(reasons) == 1
    assert "is an axis of space to" in reasons.pop() or name == "resized"


@pytest.mark.parametrize("name", PASSING)
def test_nodes_go_where_each_place_is_answered_by_itself(name):
    coupling, removed, apart = cut_and_masked(*PASSING[name])
    assert apart < 1e-6
    assert removed[coupling.layers[0].groups].sum() == 8


def images_cut_and_masked(operator, width):
    """Twelve channels go through an operator that moves what lies along the axes behind them."""
    model = net(
        f"""g (float[1, 4, 8] x) => (float[1, 3, L] y) {{
            {CONV} {operator} y = Conv<kernel_shape: ints = [1]>(m, w2)
        }}""",
        {"w1": (12, 4, 3), "w2": (3, width, 1)},
        {
            "whole": np.array([1, 12, 8]),
            "columns": np.array([1, 12, 8]),
            "image": np.array([3, 5]),
            "block": np.array([2, 2]),
            "flat": np.array([0, 0, -1]),
            "five": np.array([5]),
            "eleven": np.array([11]),
            "all": np.array([1, 12, 5]),
        },
        opset=18,
    )
    coupling, removed, apart = narrowed_at_random(model, rows=1)
    return coupling, removed[coupling.layers[0].groups].sum(), apart


@pytest.mark.parametrize("name", IMAGES)
def test_channels_go_through_operators_that_move_what_lies_behind_them(name):
    _, gone, apart = images_cut_and_masked(*IMAGES[name])
    assert gone
    assert apart < 1e-6


@pytest.mark.parametrize("name", TOLD)
def test_channels_stay_where_an_operator_counts_them(name):
    operator, reason = TOLD[name]
    coupling, gone, apart = images_cut_and_masked(operator, 12)
    assert (gone, apart) == (0, 0.0)
    assert reason in coupling.reasons.values()
