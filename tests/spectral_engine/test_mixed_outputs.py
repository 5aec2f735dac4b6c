"""Outputs of several kinds: what answers rows in floats is judged and trained, all others stay in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, load
from torch import Tensor, nn

import spectral_engine as se
from spectral_engine.data import Split
from spectral_engine.errors import NumericMismatch
from spectral_engine.measure.exactness import compare
from spectral_engine.measure.runtime import Runner

FEATURES, CLASSES, ROWS = 6, 3, 500
RECIPE = {
    "target": {"keep_nodes": 0.5},
    "training": {"epochs": 9},
    "prune": {"candidates": 1},
    "seed": 0,
    "seen_by_original": False,
}
Ends = Callable[[Tensor], tuple[Tensor, ...]]

# What stands behind the scores z [n, classes]; the name of the answer that is judged, None for one inside the graph.
ENDS: dict[str, tuple[Ends, str | None]] = {
    "label, scores": (lambda z: (z.argmax(1), z), "o1"),
    "probabilities, label": (lambda z: (z.softmax(1), z.argmax(1)), "o0"),
    "mean, scores": (lambda z: ((z**2).mean(), z), "o1"),
    "mean in a vector, scores": (lambda z: ((z**2).mean().reshape(1), z), "o1"),
    "scores, mean": (lambda z: (z, (z**2).mean()), "o0"),
    "label, mean, scores": (lambda z: (z.argmax(1), (z**2).mean(), z), "o2"),
    "truth, scores": (lambda z: (z.amax(1) > 0, z), "o1"),
    "count, scores": (lambda z: ((z.argmax(1) == 0).sum(), z), "o1"),
    "label alone": (lambda z: (z.argmax(1),), None),
    "label of probabilities, one column": (lambda z: (z.softmax(1).argmax(1, keepdim=True),), None),
    "label, mean": (lambda z: (z.argmax(1), (z**2).mean()), None),
    "label and its probability": (lambda z: z.softmax(1).max(1)[::-1], None),
    "the two best and their places": (lambda z: z.topk(2, 1), None),
}


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    centres = random.normal(size=(CLASSES, FEATURES)) * 1.6
    y = random.integers(0, CLASSES, ROWS)
    return (centres[y] + random.normal(size=(ROWS, FEATURES))).astype(np.float32), y


@pytest.fixture(scope="module")
def net(rows: tuple[np.ndarray, np.ndarray]) -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Linear(FEATURES, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, CLASSES)
    )
    x, y = (torch.as_tensor(array) for array in rows)
    optimizer = torch.optim.Adam(made.parameters(), 1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(made(x), y).backward()
        optimizer.step()
    return made.eval()


class _Ending(nn.Module):
    def __init__(self, net: nn.Module, ends: Ends) -> None:
        super().__init__()
        self.net, self.ends = net, ends

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.ends(self.net(x)))


def exported(net: nn.Module, ends: Ends, path: Path) -> Path:
    x = torch.zeros(3, FEATURES)
    count = len(_Ending(net, ends)(x))
    torch.onnx.export(
        _Ending(net, ends),
        (x,),
        str(path),
        input_names=["x"],
        output_names=[f"o{i}" for i in range(count)],
        dynamic_axes={"x": {0: "n"}},
        dynamo=False,
    )
    return path


@pytest.mark.parametrize("with_labels", [True, False], ids=["labels", "no labels"])
@pytest.mark.parametrize("case", ENDS)
def test_it_is_narrowed_by_the_answer_that_tells_of_rows(
    case: str,
    with_labels: bool,
    net: nn.Module,
    rows: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
) -> None:
    ends, judged = ENDS[case]
    model = exported(net, ends, tmp_path / "model.onnx")
    x, y = rows
    np.savez(tmp_path / "data.npz", x=x, **({"y": y} if with_labels else {}))
    result = se.compress(model, tmp_path / "data.npz", RECIPE)
    narrow = result.chosen.save(tmp_path / "narrow.onnx")
    declared = [value.name for value in load(model).graph.output]
    meaning = result.report.data.data.meaning
    assert meaning.output == judged if judged else meaning.output not in declared
    assert result.report.data.baseline.metric.name == ("accuracy" if with_labels else "agreement")
    assert result.chosen.entry.measurement.nodes <= 24
    assert [value.name for value in load(narrow).graph.output] == declared
    assert result.chosen.entry.exactness.max_abs_output > 0
    # Labels that the file gives itself, computed from the scores before any of our measuring.
    session = ort.InferenceSession(str(narrow))
    for value, answer in zip(session.get_outputs(), session.run(None, {"x": x}), strict=True):
        if value.type == "tensor(int64)" and answer.ndim and answer.size in {ROWS, 2 * ROWS}:
            assert (answer.reshape(ROWS, -1)[:, 0] == y).mean() > 0.8


def test_a_number_for_the_whole_batch_is_part_of_the_proof() -> None:
    def scaled(by: float) -> bytes:
        nodes = [
            helper.make_node("Mul", ["x", "by"], ["y"]),
            helper.make_node("ReduceSum", ["y"], ["sum"], keepdims=0),
            helper.make_node("Identity", ["x"], ["same"]),
        ]
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
            [
                helper.make_tensor_value_info("same", TensorProto.FLOAT, ["n", 2]),
                helper.make_tensor_value_info("sum", TensorProto.FLOAT, []),
            ],
            [helper.make_tensor("by", TensorProto.FLOAT, [], [by])],
        )
        opset = [helper.make_opsetid("", 17)]
        return bytes(
            helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
        )

    samples = Split({"x": np.ones((5, 2), np.float32)}, None)
    assert compare(scaled(1.0), scaled(1.0), samples).max_abs_output == 10
    with pytest.raises(NumericMismatch):
        compare(scaled(1.0), scaled(1.1), samples)


def test_lists_of_tensors_are_kept_and_part_of_the_proof(
    net: nn.Module, rows: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    model = load(exported(net, lambda z: (z,), tmp_path / "model.onnx"))
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    model.graph.node.append(helper.make_node("SequenceConstruct", ["o0", "o0"], ["list"]))
    del model.graph.output[:]
    model.graph.output.append(helper.make_value_info("list", kind))
    x, y = rows
    np.savez(tmp_path / "data.npz", x=x, y=y)
    result = se.compress(model.SerializeToString(), tmp_path / "data.npz", RECIPE)
    narrow = result.chosen.save(tmp_path / "narrow.onnx")
    scores = ort.InferenceSession(str(narrow)).run(None, {"x": x})[0]
    assert result.report.data.data.meaning.output == "o0"
    assert (scores[0].argmax(1) == y).mean() > 0.8
    np.testing.assert_array_equal(scores[0], scores[1])
    assert Runner(narrow).floats(Split({"x": x}, None))["list"].size == 2 * ROWS * CLASSES
