"""Samples that differ in length: graphs with an answer for each node or for the whole, and sequences."""

import io
import shutil

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import spectral_engine as se
from spectral_engine.data import load_splits
from spectral_engine.errors import DatasetMismatch
from spectral_engine.measure.runtime import Runner

FEATURES, CLASSES = 6, 3
RECIPE = {
    "target": {"keep_nodes": 0.5},
    "training": {"epochs": 5, "learning_rate": 3e-3, "batch_size": 16},
    "prune": {"candidates": 1},
    "seed": 0,
}


class GraphNet(nn.Module):
    """Two rounds of messages along the edges; an answer for each node, or for the whole graph."""

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self.root, self.said = nn.Linear(FEATURES, 24), nn.Linear(FEATURES, 24, bias=False)
        self.again, self.heard = nn.Linear(24, 16), nn.Linear(24, 16, bias=False)
        self.head, self.whole = nn.Linear(16, CLASSES), whole

    def forward(self, x, edge_index):
        x = torch.relu(self.root(x) + self.along(self.said(x), edge_index))
        x = torch.relu(self.again(x) + self.along(self.heard(x), edge_index))
        x = self.head(x)
        return x.mean(dim=0, keepdim=True) if self.whole else x

    @staticmethod
    def along(x, edges):
        heard = edges[1][:, None].expand(-1, x.shape[1])
        return torch.zeros_like(x).scatter_add(0, heard, x[edges[0]])


class PooledNet(GraphNet):
    """The same, with an answer for each graph of a batch."""

    def forward(self, x, edge_index, batch):
        x = super().forward(x, edge_index)
        count = batch.max() + 1
        total = x.new_zeros(count, CLASSES).index_add(0, batch, x)
        nodes = x.new_zeros(count).index_add(0, batch, torch.ones_like(x[:, 0]))
        return total / nodes[:, None]


def graphs(count, seed=0):
    """Graphs of 2 to 9 nodes, mostly of one class each, of which features tell little. The last has no edge."""
    random = np.random.default_rng(seed)
    samples = []
    for at in range(count):
        nodes = int(random.integers(2, 10))
        y = np.where(
            random.random(nodes) < 0.85,
            random.integers(CLASSES),
            random.integers(0, CLASSES, nodes),
        )
        x = random.standard_normal((nodes, FEATURES)).astype(np.float32)
        x[np.arange(nodes), y] += 1.2
        pairs = [
            (a, b) for a in range(nodes) for b in range(nodes) if a != b and random.random() < 0.5
        ]
        edges = np.array(pairs if at < count - 1 else [], np.int64).reshape(-1, 2).T
        samples.append({"x": x, "edge_index": edges, "y": y.astype(np.int64)})
    return samples


def trained(net, samples, whole):
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(4):
        for start in range(0, len(samples), 8):
            losses = []
            for one in samples[start : start + 8]:
                answer = net(torch.tensor(one["x"]), torch.tensor(one["edge_index"]))
                losses.append(
                    nn.functional.cross_entropy(answer, torch.tensor(label_of(one, whole)))
                )
            optimizer.zero_grad()
            torch.stack(losses).mean().backward()
            optimizer.step()
    return net.eval()


def label_of(sample, whole):
    return np.bincount(sample["y"]).argmax()[None] if whole else sample["y"]


def exported(net, free, inputs, names):
    file = io.BytesIO()
    torch.onnx.export(
        net, inputs, file, input_names=names, output_names=["out"], dynamic_axes=free, dynamo=False
    )
    return file.getvalue()


def graph_net(samples, whole):
    torch.manual_seed(0)
    net = trained(GraphNet(whole), samples, whole)
    free = {"x": {0: "nodes"}, "edge_index": {1: "edges"}}
    if not whole:
        free["out"] = {0: "nodes"}
    inputs = (torch.tensor(samples[0]["x"]), torch.tensor(samples[0]["edge_index"]))
    return exported(net, free, inputs, ["x", "edge_index"])


def starts(lengths):
    return np.concatenate([[0], np.cumsum(lengths)])


def packed(samples, whole):
    """One after another, with row pointers."""
    return {
        "x": np.concatenate([one["x"] for one in samples]),
        "x_ptr": starts([len(one["x"]) for one in samples]),
        "edge_index": np.concatenate([one["edge_index"] for one in samples], axis=1),
        "edge_index_ptr": starts([one["edge_index"].shape[1] for one in samples]),
        "y": np.concatenate([label_of(one, whole) for one in samples]),
    }


def batched(samples, whole):
    """As graph libraries hold a batch: the graph of each node, and nodes numbered throughout."""
    first = starts([len(one["x"]) for one in samples])
    arrays = packed(samples, whole)
    arrays["batch"] = np.repeat(np.arange(len(samples)), np.diff(first))
    arrays["edge_index"] = np.concatenate(
        [one["edge_index"] + start for one, start in zip(samples, first, strict=False)], axis=1
    )
    return {name: array for name, array in arrays.items() if not name.endswith("_ptr")}


def in_files(folder, samples, whole):
    """One file for each."""
    folder.mkdir(parents=True)
    for at, one in enumerate(samples):
        np.savez(folder / f"{at:04}.npz", **{**one, "y": label_of(one, whole)})


def right(model, samples, whole):
    """The share of answers that are right, each sample in onnxruntime by itself."""
    session = onnxruntime.InferenceSession(model)
    hits = [
        session.run(None, {"x": one["x"], "edge_index": one["edge_index"]})[0].argmax(axis=1)
        == label_of(one, whole)
        for one in samples
    ]
    return np.concatenate(hits).mean()


def written(folder, parts, whole):
    """Graphs with a label for each node in a zip archive of files, and with one for each graph as a batch."""
    if not whole:
        for part, samples in parts.items():
            in_files(folder / "graphs" / part, samples, whole)
        return shutil.make_archive(str(folder / "graphs"), "zip", folder / "graphs")
    arrays = {
        f"{name}_{part}": array
        for part, samples in parts.items()
        for name, array in batched(samples, whole).items()
    }
    np.savez(folder / "graphs.npz", **arrays)
    return folder / "graphs.npz"


@pytest.mark.parametrize("whole", [False, True], ids=["each_node", "whole_graph"])
def test_a_graph_net_is_narrowed_on_graphs_of_different_sizes(whole, tmp_path):
    samples, held_out = graphs(80), graphs(40, seed=1)
    model = graph_net(samples, whole)
    parts = {"train": samples[:60], "val": samples[60:], "test": held_out}
    data = written(tmp_path, parts, whole)
    result = se.compress(model, data, RECIPE)
    report, entry = result.report.data, result.report.data.chosen_candidate()
    assert report.data.test_rows == 40
    assert entry.measurement.params < 0.75 * report.baseline.params
    assert entry.exactness.samples > 0
    # Each sample by itself in onnxruntime, nodes counted and nothing behind their ends.
    result.chosen.save(tmp_path / "narrow.onnx")
    original, narrow = (
        right(one, held_out, whole) for one in (model, (tmp_path / "narrow.onnx").read_bytes())
    )
    assert report.baseline.metric.value == pytest.approx(original)
    assert entry.measurement.metric.value == pytest.approx(narrow)
    assert (
        narrow > (1 / CLASSES + original) / 2
    )  # half of what it knew above chance, after five epochs


def test_the_masked_and_the_cut_file_are_compared_on_real_samples(tmp_path):
    """Each as long as it is: nothing that stands behind its end is fed."""
    samples = graphs(12)
    np.savez(tmp_path / "graphs.npz", **packed(samples, whole=False))
    runner = Runner(graph_net(samples, whole=False))
    rows = load_splits(tmp_path / "graphs.npz", runner.inputs, seed=0).train
    session = onnxruntime.InferenceSession(graph_net(samples, whole=False))
    for row in range(rows.rows):
        one = rows.take(np.array([row]))
        nodes = int(one.inputs["length of x"][0])
        mine = next(
            s
            for s in samples
            if len(s["x"]) == nodes and (s["x"] == one.inputs["x"][0, :nodes]).all()
        )
        answer = session.run(None, {"x": mine["x"], "edge_index": mine["edge_index"]})[0]
        np.testing.assert_allclose(runner.predict(one)[0, :nodes], answer, rtol=1e-5, atol=1e-6)
        assert (one.labels[0] == np.r_[mine["y"], [-1] * (one.labels.shape[1] - nodes)]).all()


class Steps(nn.Module):
    """Sequences of any length behind an axis of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.head = nn.GRU(4, 12, batch_first=True), nn.Linear(12, 2)

    def forward(self, x):
        return self.head(self.read(x)[1][0])


def test_sequences_of_their_own_length_are_read_as_long_as_they_are(tmp_path):
    torch.manual_seed(1)
    random, net = np.random.default_rng(0), Steps().eval()
    model = exported(net, {"x": {0: "batch", 1: "steps"}}, torch.zeros(1, 5, 4), ["x"])
    samples = [
        random.standard_normal((int(random.integers(1, 7)), 4)).astype(np.float32)
        for _ in range(60)
    ]
    with torch.no_grad():
        y = np.array([int(net(torch.tensor(one)[None]).argmax()) for one in samples])
    assert 0.05 < y.mean() < 0.95
    np.savez(
        tmp_path / "steps.npz",
        x=np.concatenate(samples),
        x_ptr=starts([len(one) for one in samples]),
        y=y,
    )
    as_json = se.check(model, tmp_path / "steps.npz").to_json()
    assert '"accuracy"' in as_json or "classification" in as_json


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"x_ptr": np.array([0, 5, 3])}, "#/x_ptr", "never fall"),
        ({"x_ptr": np.array([0.0, 2.0])}, "#/x_ptr", "never fall"),
        ({"x_ptr": np.arange(13)}, "#/x_ptr", "ends at 12"),
        ({"edge_index_ptr": np.zeros(13, int)}, "#/edge_index_ptr", "ends at 0"),
        ({"edge_index_ptr": np.array([0, 9])}, "#/x_ptr", "x has 12, edge_index has 1"),
        ({"y": np.zeros((1, 2), np.float32)}, "#/y", "class numbers"),
    ],
)
def test_a_pointer_that_does_not_fit_is_refused_by_name(change, field, said, tmp_path):
    samples = graphs(12)
    arrays = packed(samples, whole=False)
    if "y" in change:
        change = {"y": np.zeros((len(arrays["x"]), 2), np.float32)}
    np.savez(tmp_path / "graphs.npz", **{**arrays, **change})
    inputs = Runner(graph_net(samples, whole=False)).inputs
    with pytest.raises(DatasetMismatch, match=said) as refused:
        load_splits(tmp_path / "graphs.npz", inputs, seed=0)
    assert refused.value.pointer == field


def test_answers_to_each_node_need_labels(tmp_path):
    samples = graphs(12)
    arrays = packed(samples, whole=False)
    del arrays["y"]
    np.savez(tmp_path / "graphs.npz", **arrays)
    with pytest.raises(DatasetMismatch, match="one class number for each entry"):
        se.check(graph_net(samples, whole=False), tmp_path / "graphs.npz")


def test_a_net_that_takes_a_batch_is_given_each_graph_as_one(tmp_path):
    torch.manual_seed(0)
    samples, names = graphs(12), ["x", "edge_index", "batch"]
    arrays = batched(samples, whole=True)
    free = {"x": {0: "nodes"}, "edge_index": {1: "edges"}, "batch": {0: "nodes"}}
    example = tuple(torch.tensor(batched(samples[:2], whole=True)[name]) for name in names)
    runner = Runner(
        exported(PooledNet(False).eval(), free | {"out": {0: "graphs"}}, example, names)
    )
    at_once = runner.session.run(None, {name: arrays[name] for name in names})[0]
    np.savez(tmp_path / "graphs.npz", **{**arrays, "y": np.arange(12)})  # which names the graph
    for part in load_splits(tmp_path / "graphs.npz", runner.inputs, seed=0).parts:
        np.testing.assert_allclose(runner.predict(part), at_once[part.labels], rtol=1e-4, atol=1e-6)


def edges_within(starts_with, ends_with, edge):
    """Two graphs, and one edge in the second."""
    return {
        "x": np.zeros((starts_with + ends_with, FEATURES), np.float32),
        "x_ptr": np.array([0, starts_with, starts_with + ends_with]),
        "edge_index": np.array(edge)[:, None],
        "edge_index_ptr": np.array([0, 0, 1]),
        "y": np.array([0, 1]),
    }


def loaded(arrays, model, path):
    np.savez(path, **arrays)
    return load_splits(path, Runner(model).inputs, seed=0)


def is_same(one, other):
    return all(
        a.inputs.keys() == b.inputs.keys()
        and all(np.array_equal(a.inputs[name], b.inputs[name]) for name in a.inputs)
        and np.array_equal(a.labels, b.labels)
        for a, b in zip(one.parts, other.parts, strict=True)
    )


@pytest.mark.parametrize("whole", [False, True], ids=["each_node", "whole_graph"])
def test_graphs_are_the_same_however_they_are_written(whole, tmp_path):
    samples = graphs(12)
    model = graph_net(samples, whole)
    expected = loaded(packed(samples, whole), model, tmp_path / "pointers.npz")
    batch = batched(samples, whole)
    assert is_same(expected, loaded(batch, model, tmp_path / "batch.npz"))
    nodes = {"ptr": starts([len(one["x"]) for one in samples]), **batch}
    del nodes["batch"]
    assert is_same(expected, loaded(nodes, model, tmp_path / "nodes.npz"))
    in_files(tmp_path / "graphs", samples, whole)
    for kind in ("zip", "tar", "gztar"):
        file = shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path / "graphs")
        assert is_same(expected, load_splits(file, Runner(model).inputs, seed=0))
    assert is_same(expected, load_splits(tmp_path / "graphs", Runner(model).inputs, seed=0))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (edges_within(3, 5, [3, 4]), "in each sample or throughout"),
        (edges_within(3, 2, [1, 4]), "has 2 nodes from 3 on"),
        (edges_within(3, 2, [-1, 0]), "has 2 nodes from 3 on"),
    ],
)
def test_edges_whose_ends_no_one_can_tell_are_refused(arrays, said, tmp_path):
    with pytest.raises(DatasetMismatch, match=said) as refused:
        loaded(arrays, graph_net(graphs(2), whole=True), tmp_path / "graphs.npz")
    assert refused.value.pointer == "#/edge_index"


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"batch": lambda batch: batch[::-1]}, "#/batch", "never fall"),
        ({"batch": lambda batch: batch + 1}, "#/batch", "begin with 0"),
        ({"edge_index": lambda edges: edges[:, ::-1]}, "#/edge_index", "sort edges"),
        ({"edge_index": lambda edges: edges + 1000}, "#/edge_index", "there are"),
        (
            {"edge_index": lambda edges: np.stack([edges[0], edges[1][::-1]])},
            "#/edge_index",
            "leads",
        ),
    ],
)
def test_a_batch_that_does_not_fit_is_refused_by_name(change, field, said, tmp_path):
    samples = graphs(12)
    arrays = batched(samples, whole=True)
    changed = {name: how(arrays[name]) for name, how in change.items()}
    with pytest.raises(DatasetMismatch, match=said) as refused:
        loaded({**arrays, **changed}, graph_net(samples, whole=True), tmp_path / "graphs.npz")
    assert refused.value.pointer == field


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": {"y": 0}, "b": {}}, "'b.npz' holds no array 'y'"),
        ({"a": {"y": 0}}, "give the file itself"),
        ({"train": {"y": 0}, "test": {"y": 1}}, "give the file itself"),
        ({"a": {"x": np.zeros((2, 5))}, "b": {"x": np.zeros((3, 6))}}, "along axes 0 and 1"),
        ({"train/a": {"y": 0}, "b": {"y": 1}}, "lies in no folder of a part"),
    ],
)
def test_files_that_are_no_samples_are_refused_by_name(files, said, tmp_path):
    one = {"x": np.zeros((2, FEATURES)), "edge_index": np.zeros((2, 1), int)}
    for name, arrays in files.items():
        (tmp_path / "graphs" / name).parent.mkdir(parents=True, exist_ok=True)
        np.savez(tmp_path / "graphs" / f"{name}.npz", **{**one, **arrays})
    with pytest.raises(DatasetMismatch, match=said):
        load_splits(tmp_path / "graphs", Runner(graph_net(graphs(2), whole=True)).inputs, seed=0)
