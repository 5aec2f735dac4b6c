"""A plan says before a cut what is in the file after it; the report tells what was carried out in the same form."""

import json

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import spectral_engine as se
from examples.specimens.zoo import specimen
from spectral_engine.cost.budget import Budget
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.surgery import cut
from spectral_engine.methods.prune.options import Prune
from spectral_engine.methods.prune.untrained import plan_untrained
from spectral_engine.onnx_io.save import to_bytes
from spectral_engine.records.analysis import Analysis
from tests.support.digits import save_all
from tests.support.task_nets import export

# A job whose training moves no weight: what it cuts, it cuts by the weights as they came.
STILL = {
    "training": {"epochs": 1, "learning_rate": 1e-30, "batch_size": 1100},
    "prune": {
        "when": "post",
        "fine_tune": False,
        "score": "eigenvalue_outgoing",
        "compensate": "mean",  # least squares moves what later cuts are ranked by
    },
    "allow_poor_original": True,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_all(tmp_path_factory.mktemp("plan"))


def out_widths(model: bytes) -> dict[str, int]:
    """Return how many outputs each layer's own weight makes, by node: read off the file."""
    graph = onnx.load_from_string(model).graph
    shapes = {initializer.name: tuple(initializer.dims) for initializer in graph.initializer}
    widths = {}
    for node in graph.node:
        shape = shapes.get(node.input[1]) if len(node.input) > 1 else None
        if shape is None or node.op_type not in {"Conv", "Gemm", "MatMul"}:
            continue
        turned = any(item.name == "transB" and item.i for item in node.attribute)
        widths[node.name] = shape[0] if turned or node.op_type == "Conv" else shape[-1]
    return widths


def floats(model: bytes) -> int:
    """Count the floats of a file: of initializers, and of constants that exporters write as nodes."""
    graph = onnx.load_from_string(model).graph
    constants = [
        item.t for node in graph.node if node.op_type == "Constant" for item in node.attribute
    ]
    tensors = [t for t in (*graph.initializer, *constants) if t.data_type == onnx.TensorProto.FLOAT]
    return sum(int(np.prod(tensor.dims)) for tensor in tensors)


def assert_is_that_of(plan, before: bytes, after: bytes):
    """Check a plan against the two files: each layer's share of the nodes, and all parameters."""
    wide, narrow = out_widths(before), out_widths(after)
    checked = 0
    for layer in plan.layers:
        for producer in layer.coupled:
            if producer in wide:  # a node may be several channels, as those of a head are
                channels = wide[producer] // layer.before
                assert wide[producer] == channels * layer.before
                assert narrow[producer] == channels * layer.after
                checked += 1
    assert checked
    assert (plan.before.params, plan.after.params) == (floats(before), floats(after))


@pytest.mark.parametrize(
    "target", [{"max_macs": 0.4}, {"keep_nodes": 0.3}, {"max_params": "1500", "max_macs": 0.9}]
)
def test_the_plan_of_an_analysis_is_what_a_job_cuts_that_moves_no_weight(folder, target):
    model = folder / "perceptron.onnx"
    plan = se.analyze(model, target).plan
    narrowest = se.compress(model, folder / "digits.npz", STILL | {"target": target}).candidates[-1]
    assert_is_that_of(plan, model.read_bytes(), narrowest.model_bytes)
    assert plan.after.macs == narrowest.entry.measurement.macs
    assert plan.after.nodes == narrowest.entry.measurement.nodes
    assert all(plan.after.of(name) <= limit for name, limit in plan.limits.items())
    assert narrowest.entry.widths == plan.layers


@pytest.mark.parametrize(
    "name", ["residual", "bottleneck", "depthwise", "squeeze_excite", "encoder", "vgg"]
)
def test_the_plan_of_every_kind_of_net_is_that_of_the_file_that_is_cut_by_it(name):
    model = specimen(name).model
    plan = se.analyze(model, {"max_macs": 0.5}).plan
    module = load(model)
    coupling = couple(module)
    budget = Budget({"macs": 0.5 * coupling.macs()})
    removed = plan_untrained(module, coupling, Prune(), budget).removed
    assert_is_that_of(plan, model, to_bytes(cut(module.model, coupling, removed)))
    assert plan.after.macs <= plan.limits["macs"] == 0.5 * plan.before.macs


class Stream(nn.Module):
    """A residual stream of 40 channels: what writes into it loses a channel together."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.step = nn.Conv2d(3, 40, 3, padding=1), nn.Conv2d(40, 40, 3, padding=1)
        self.inner, self.head = nn.Conv2d(40, 60, 3, padding=1), nn.Linear(60, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.step(x))
        return self.head(torch.relu(self.inner(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("stream") / "stream.onnx"
    export(Stream(), (torch.zeros(1, 3, 8, 8),), path, ["x"], ("logits",))
    return path


def test_coupled_layers_are_one_and_pinned_ones_say_why(stream):
    analysis = se.analyze(stream, {"max_macs": 0.5})
    first, inner, head = analysis.plan.layers
    assert first.coupled == ["/stem/Conv", "/step/Conv"]
    assert (first.before, inner.before) == (40, 60)
    assert (head.before, head.after, head.reason) == (7, 7, "graph output")
    assert "(graph output)" in str(analysis)


def test_what_is_asked_for_and_what_the_grid_makes_of_it_are_both_told(stream):
    analysis = se.analyze(stream, {"max_macs": 0.55})
    plan = analysis.plan
    convolutions = plan.layers[:2]
    assert all(layer.after % 4 == 0 for layer in convolutions)
    assert any(layer.asked % 4 for layer in convolutions)
    assert "rounding to whole blocks moved the widths of" in plan.statement
    for layer in convolutions:
        assert f"{layer.asked:>5}  {layer.after:>5}" in str(analysis)


def test_a_recipe_beside_data_says_how_the_plan_ranks_and_rounds(folder):
    model, data = folder / "perceptron.onnx", folder / "digits.npz"
    prune = STILL["prune"] | {"round_to": 12, "score": "l1"}
    recipe = STILL | {"prune": prune, "target": {"keep_nodes": 0.4}}
    plan = se.analyze(model, recipe["target"], data=data, recipe=recipe).plan
    assert (plan.score, plan.seen) == ("l1", "weights")
    assert [layer.after % 12 for layer in plan.layers[:2]] == [0, 0]
    assert any(layer.asked % 12 for layer in plan.layers[:2])
    assert_is_that_of(
        plan, model.read_bytes(), se.compress(model, data, recipe).candidates[-1].model_bytes
    )


def test_the_sentence_names_the_numbers_and_what_they_are_worth(folder):
    plan = se.analyze(folder / "perceptron.onnx", {"max_macs": 0.4}).plan
    for told in (
        f"; {plan.after.nodes} of 96 nodes, ",
        f"{plan.after.macs:,} of 5,856 multiply-adds (2,342 allowed)",
        f"{plan.after.params:,} of 5,962 parameters",
        "eigenvalue_taylor_outgoing on the weights alone",
        "the widths of a job may differ",
    ):
        assert told in plan.statement


def test_there_is_a_plan_where_narrowing_can_meet_what_is_asked_and_else_none(folder):
    model = folder / "perceptron.onnx"
    assert se.analyze(model).plan is None
    assert se.analyze(model, {"max_macs": 1e-6}).plan is None
    assert se.analyze(model, {"max_metric_drop": 0.01}).plan is None
    assert se.analyze(model, {"max_macs": 1.0}).plan.statement == "no node goes"
    timed = se.analyze(model, {"max_latency_ms": {"ms": 1000}}).plan
    assert timed.after == timed.before
    assert timed.limits == {"macs": timed.before.macs}


def test_a_file_within_its_bytes_is_planned_with_what_a_cut_writes_down(folder):
    model, data = folder / "perceptron.onnx", folder / "digits.npz"
    target = {"max_bytes": "9kB"}
    plan = se.analyze(model, target).plan
    assert plan.limits == {"bytes": 9000}
    candidate = se.compress(model, data, STILL | {"target": target}).candidates[-1]
    assert 0 <= len(candidate.model_bytes) - plan.after.file_bytes < 1000
    assert plan.after.file_bytes < 9000


def test_an_analysis_reads_back_from_its_json_plan_included(stream):
    analysis = se.analyze(stream, {"max_params": 0.5})
    text = analysis.to_json()
    assert json.loads(text)["plan"]["statement"] == analysis.plan.statement
    assert Analysis.model_validate_json(text) == analysis


@pytest.fixture(scope="module")
def result(folder):
    recipe = {
        "target": {"max_macs": 0.5},
        "training": {"epochs": 4},
        "prune": {"candidates": 2},
    }
    return se.compress(folder / "convolutional.onnx", folder / "digits.npz", recipe)


def test_a_report_tells_what_was_removed_as_an_analysis_plans_it(result, folder):
    before = (folder / "convolutional.onnx").read_bytes()
    plan = result.report.data.plan()
    assert_is_that_of(plan, before, result.chosen.model_bytes)
    assert (plan.before.file_bytes, plan.after.file_bytes) == (
        len(before),
        len(result.chosen.model_bytes),
    )
    told = se.analyze(folder / "convolutional.onnx", {"max_macs": 0.5}).plan
    same = ("layer", "before", "coupled", "reason")
    assert [layer.model_dump(include=set(same)) for layer in plan.layers] == [
        layer.model_dump(include=set(same)) for layer in told.layers
    ]
    assert plan.limits == told.limits
    assert plan.score == told.score
    assert "along the run" in plan.statement
