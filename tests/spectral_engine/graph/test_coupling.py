"""Coupling: which nodes go together, which must stay and why, and what that leaves of the model's cost."""

import numpy as np
import onnx.parser
import pytest
import torch
from torch import nn

from examples.specimens.zoo import EXPORTERS, export, specimen
from examples.specimens.zoo.convolutional import CONVOLUTIONAL
from examples.specimens.zoo.exporting import ROW
from examples.specimens.zoo.perceptrons import PERCEPTRONS
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.layers import out_groups
from spectral_engine.graph.loading import load
from spectral_engine.graph.operators.regrouping import segments


def coupled(name, exporter="torchscript"):
    return couple(load(specimen(name, exporter).model))


def widths(coupling):
    """Return the rows of nodes that can be narrowed, as sets of transfers' weights -> number of nodes."""
    names = {transfer.name: transfer.weight for transfer in coupling.transfers}
    return {
        tuple(sorted(names[producer] for producer in layer.producers)): len(layer.groups)
        for layer in coupling.layers
        if layer.prunable
    }


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_the_stem_of_a_residual_net_goes_with_the_blocks_that_add_to_it(exporter):
    coupling = coupled("residual", exporter)
    rows = [set(layer.producers) for layer in coupling.layers if layer.prunable]
    assert sorted(len(row) for row in rows) == [1, 2, 2]
    assert sorted(len(layer.groups) for layer in coupling.layers) == [5, 8, 8, 12]


def test_branches_that_are_joined_stay_rows_of_their_own():
    coupling = coupled("inception")
    assert widths(coupling) == {
        ("one.weight",): 6,
        ("three.weight",): 7,
        ("five.weight",): 4,
        ("after.weight",): 9,
    }


def test_a_depthwise_filter_goes_with_the_channel_that_it_filters():
    coupling = coupled("depthwise")
    assert widths(coupling) == {
        ("expand.weight", "filter.weight"): 24,
        ("project.weight", "stem.weight"): 8,
    }


def test_what_weighs_channels_is_coupled_with_the_channels():
    assert widths(coupled("squeeze_excite")) == {
        ("excite.weight", "stem.weight"): 10,
        ("squeeze.weight",): 4,
    }


def test_a_flattened_channel_takes_all_its_positions_along():
    coupling = coupled("plain_elu")
    (dense,) = [t for t in coupling.transfers if coupling.sizes[t.weight] == (16, 24)]
    ids = coupling.axes[dense.weight][dense.in_axis]
    assert [len(set(ids[i : i + 4])) for i in range(0, 24, 4)] == [1] * 6
    assert len(set(ids)) == 6


@pytest.mark.parametrize("name", ["residual", "lstm", "encoder", "llama", "vision", "c2f"])
def test_outputs_stay_and_say_so(name):
    coupling = coupled(name)
    (last,) = [layer for layer in coupling.layers if not layer.prunable]
    assert last.reason == "graph output"


def test_inputs_that_are_added_to_keep_their_width():
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.back, self.head = nn.Linear(12, 9), nn.Linear(9, 12), nn.Linear(12, 5)

        def forward(self, x):
            return self.head(x + self.back(torch.relu(self.inner(x))))

    coupling = couple(load(export(Around().eval(), (ROW,), ("x",), "torchscript")))
    assert widths(coupling) == {("inner.weight",): 9}
    kept = next(layer for layer in coupling.layers if layer.groups.size == 12)
    assert kept.reason is not None


def test_around_an_operator_whose_coupling_is_unknown_nodes_stay_and_the_reason_names_it():
    zeros = ",".join(["0"] * 24)
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": 17]> g (float[N, 4] x) => (float[N, 2] y)
        <float[4, 6] a = {{{zeros}}}, float[6, 2] b = {{{zeros[:23]}}}, int64[6] order = {{5, 4, 3, 2, 1, 0}}>
        {{ h = MatMul(x, a)  s = Gather<axis = 1>(h, order)  y = MatMul(s, b) }}"""
    )
    coupling = couple(load(model.SerializeToString()))
    assert widths(coupling) == {}
    assert coupling.layers[0].reason == "is looked up by index"


PLAIN = [
    name for name in (*PERCEPTRONS, *CONVOLUTIONAL) if name != "unet"
]  # hooks see no transposed kernels


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_cost_is_that_of_the_torch_module(name, exporter):
    exported, net = specimen(name, exporter), specimen(name, exporter).net
    coupling = couple(load(exported.model))
    assert coupling.macs() == macs_by_hooks(net, exported.sample(1))


def macs_by_hooks(net, inputs):
    """Count the multiply-adds of linear and convolutional layers from what they are given."""
    total = 0

    def count(module, _, output):
        nonlocal total
        kernel = module.weight[0].numel()
        total += kernel * output[0].numel()

    hooks = [
        module.register_forward_hook(count)
        for module in net.modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    ]
    net(*inputs.values())
    for hook in hooks:
        hook.remove()
    if hasattr(net, "first") and isinstance(net.first, nn.Parameter):  # plain matrices
        total += net.first.numel() + net.second.numel()
    return total


@pytest.mark.parametrize(
    "name", ["residual", "depthwise", "signal", "shuffle", "gru", "encoder", "llama", "mixer"]
)
def test_the_cost_of_what_stays_is_that_of_the_cut_model(name):
    from spectral_engine.graph.surgery import cut
    from spectral_engine.onnx_io.save import to_bytes

    module = load(specimen(name).model)
    coupling = couple(module)
    removed = np.zeros(coupling.count, dtype=bool)
    for layer in coupling.layers:
        if layer.prunable:
            removed[np.unique(layer.groups)[1::2]] = True
    again = couple(load(to_bytes(cut(module.model, coupling, removed))))
    assert (coupling.macs(removed), coupling.params(removed)) == (again.macs(), again.params())
    left = coupling.without(removed)
    assert (left.macs(), left.params()) == (again.macs(), again.params())


def test_groups_are_those_of_the_original_after_a_cut():
    coupling = coupled("residual")
    row = next(layer for layer in coupling.layers if layer.prunable)
    removed = np.zeros(coupling.count, dtype=bool)
    removed[row.groups[:3]] = True
    left = coupling.without(removed)
    same = next(layer for layer in left.layers if layer.name == row.name)
    assert same.groups.tolist() == row.groups[3:].tolist()
    for transfer in left.transfers:
        assert not removed[out_groups(transfer, left.axes)].any()


def test_nodes_that_must_stay_and_whole_layers_are_not_given_up():
    coupling = coupled("residual")
    answer = np.zeros(coupling.count, dtype=bool)
    answer[coupling.layers[-1].groups[0]] = True
    with pytest.raises(ValueError, match="graph output"):
        coupling.without(answer)
    row = next(layer for layer in coupling.layers if layer.prunable)
    everything = np.zeros(coupling.count, dtype=bool)
    everything[row.groups] = True
    with pytest.raises(ValueError, match="would lose all"):
        coupling.without(everything)


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ((2, 8, 4, 4), (2, 128), [((0,), (0,)), ((1, 2, 3), (1,))]),
        ((2, 12, 5), (2, 3, 4, 5), [((0,), (0,)), ((1,), (1, 2)), ((2,), (3,))]),
        ((2, 1, 8), (2, 8), [((0,), (0,)), ((1, 2), (1,))]),
        ((2, 8), (2, 8, 1), [((0,), (0,)), ((1,), (1,)), ((), (2,))]),
        ((2, 6, 4), (12, 4), [((0, 1), (0,)), ((2,), (1,))]),
    ],
)
def test_a_reshape_falls_into_its_smallest_parts(before, after, parts):
    assert [(s.before, s.after) for s in segments(before, after)] == parts


def test_heads_go_whole_with_what_shares_their_keys():
    coupling = coupled("llama")
    rows = widths(coupling)
    attention = next(
        row for row in rows if any("query" in name or "onnx::MatMul" in name for name in row)
    )
    groups = next(layer for layer in coupling.layers if len(np.unique(layer.groups)) == 2)
    assert len(groups.producers) == 3, (
        attention
    )  # queries, keys and values: two heads of keys, four of queries


def test_a_hidden_node_of_an_lstm_is_a_row_of_every_gate():
    coupling = coupled("lstm")
    recurrent = [t for t in coupling.transfers if t.kind == "recurrent"]
    ids = coupling.axes[recurrent[0].weight][recurrent[0].out_axis]
    assert ids.tolist() == np.tile(ids[:10], 4).tolist()
    assert coupling.axes[recurrent[1].weight][recurrent[1].in_axis].tolist() == ids[:10].tolist()


def test_the_residual_stream_of_a_transformer_goes_with_its_embedding_and_its_norms():
    coupling = coupled("encoder", "dynamo")
    embedding = coupling.axes["embed.weight"]
    norms = [name for name in coupling.axes if name.endswith("norm.weight")]
    assert norms
    assert all(coupling.axes[name][0].tolist() == embedding[1].tolist() for name in norms)
    assert coupling.pinned[embedding[0]].all()
    assert not coupling.pinned[embedding[1]].any()


def test_shuffled_channels_go_in_pairs():
    """The shuffle lays channel j of the one half beside channel j of the other: a rectangle must stay one."""
    coupling = coupled("shuffle")
    stem, two = (coupling.axes[name][0] for name in ("stem.weight", "two.weight"))
    assert stem[:8].tolist() == two.tolist()
    assert len({*stem[8:]} | {*two}) == 16
