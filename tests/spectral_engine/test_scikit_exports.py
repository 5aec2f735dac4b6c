"""What scikit-learn exports is narrowed from file to file, and its labels, maps and scalers stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import spectral_engine as se
from examples.specimens.scikit_exports import FRONTS, ML, NAMES, exported, fitted, rows
from spectral_engine.errors import DatasetMismatch, ModelInvalid
from spectral_engine.onnx_io.load import load_model
from spectral_engine.onnx_io.save import to_bytes

RECIPE = {
    "target": {"keep_nodes": 0.5},
    "training": {"epochs": 4},
    "prune": {"candidates": 1},
    "seed": 0,
    "seen_by_original": False,
}


def classical(model: onnx.ModelProto) -> list[bytes]:
    return [node.SerializeToString() for node in model.graph.node if node.domain == ML]


def outputs(model: onnx.ModelProto) -> list[bytes]:
    return [value.SerializeToString() for value in model.graph.output]


def run(model: bytes | Path, x: np.ndarray) -> list:
    source = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(source).run(None, {"X": x})


def data(folder: Path, labels: np.ndarray, classes: int = 3) -> Path:
    np.savez(folder / "data.npz", x=rows(classes)[0], y=labels)
    return folder / "data.npz"


CASES = [
    {"classes": classes, "text": text, "ending": ending}
    for classes in (2, 3)
    for text in (True, False)
    for ending in ("ZipMap", "plain", "columns")
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())))
def test_the_perceptron_inside_is_narrowed_and_the_rest_stays(tmp_path: Path, case: dict) -> None:
    x, numbers = rows(case["classes"])
    labels = np.array(NAMES)[numbers] if case["text"] else 2 * numbers
    before = exported(**case)
    result = se.compress(
        before.SerializeToString(), data(tmp_path, labels, case["classes"]), RECIPE
    )
    after = onnx.load(result.chosen.save(tmp_path / "narrow.onnx"))
    assert result.chosen.entry.measurement.nodes <= 24  # of 48
    assert classical(after) == classical(before)
    assert outputs(after) == outputs(before)
    assert (run(tmp_path / "narrow.onnx", x)[0] == labels).mean() > 0.85


def test_the_metric_is_what_scikit_learn_says_of_the_original(tmp_path: Path) -> None:
    x, numbers = rows()
    checked = se.check(exported().SerializeToString(), data(tmp_path, np.array(NAMES)[numbers]))
    assert checked.metric == "accuracy"
    assert checked.data.classes == list(NAMES)
    assert checked.meaning.output == "probabilities"
    assert checked.original.value == pytest.approx(fitted().score(x, numbers), abs=0.05)


@pytest.mark.parametrize("ending", ["ZipMap", "plain", "columns"])
def test_the_order_of_the_classes_is_the_models_own(tmp_path: Path, ending: str) -> None:
    turned = exported(ending=ending)  # type: ignore[arg-type]
    names = [b"wolf", b"ant", b"bee"]  # not sorted: the order can be known from the file alone
    table = next(tensor for tensor in turned.graph.initializer if tensor.name == "classes")
    table.string_data[:] = names
    for node in turned.graph.node:
        for attribute in node.attribute:
            if attribute.name == "classlabels_strings":
                attribute.strings[:] = names
    labels = np.array([name.decode() for name in names])[rows()[1]]
    checked = se.check(turned.SerializeToString(), data(tmp_path, labels))
    assert checked.data.classes == ["wolf", "ant", "bee"]
    assert checked.meaning.order == "model"


@pytest.mark.parametrize("front", FRONTS)
def test_what_prepares_the_features_runs_as_onnxruntime_runs_it(tmp_path: Path, front: str) -> None:
    before = exported(front=front)  # type: ignore[arg-type]
    x = rows()[0]
    labels = run(before.SerializeToString(), x)[0].astype(str)
    result = se.compress(before.SerializeToString(), data(tmp_path, labels), RECIPE)
    after = onnx.load(result.chosen.save(tmp_path / "narrow.onnx"))
    assert result.chosen.entry.measurement.nodes <= 24
    assert classical(after) == classical(before)
    assert (run(tmp_path / "narrow.onnx", x)[0] == labels).mean() > 0.8


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_what_is_missing_goes_in_where_the_file_fills_it_in(tmp_path: Path, missing: float) -> None:
    model = exported(front="Imputer")
    imputer = next(node for node in model.graph.node if node.op_type == "Imputer")
    next(a for a in imputer.attribute if a.name == "replaced_value_float").f = np.nan
    x = rows()[0].copy()
    x[::7, 2] = np.nan
    labels = run(model.SerializeToString(), x)[0].astype(str)
    x[0, 2] = missing
    np.savez(tmp_path / "data.npz", x=x, y=labels)
    if np.isinf(missing):
        with pytest.raises(DatasetMismatch, match="infinite value in row 0"):
            se.compress(model.SerializeToString(), tmp_path / "data.npz", RECIPE)
        return
    result = se.compress(model.SerializeToString(), tmp_path / "data.npz", RECIPE)
    result.report.save(tmp_path / "report.html")
    result.chosen.save(tmp_path / "narrow.onnx")
    assert result.chosen.entry.measurement.nodes <= 24
    assert (run(tmp_path / "narrow.onnx", x)[0] == labels).mean() > 0.8


def test_analyze_names_all_operators_and_outputs() -> None:
    analysis = se.analyze(exported().SerializeToString())
    assert analysis.operators["ZipMap"] == 1
    assert [port.name for port in analysis.outputs] == ["label", "out"]
    assert [layer.removable for layer in analysis.layers] == [24, 24, 0]


def test_a_model_with_maps_is_written_as_it_was_read() -> None:
    before = exported()
    after = onnx.load_from_string(to_bytes(load_model(before.SerializeToString())))
    assert outputs(after) == outputs(before)
    assert [node.SerializeToString() for node in after.graph.node if node.domain] == classical(
        before
    )
    x = rows()[0][:20]
    assert run(after.SerializeToString(), x)[1] == run(before.SerializeToString(), x)[1]


def test_an_input_of_maps_is_refused_with_the_remedy() -> None:
    kind = onnx.helper.make_map_type_proto(
        onnx.TensorProto.STRING, onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [])
    )
    model = exported()
    model.graph.input[0].CopyFrom(onnx.helper.make_value_info("features", kind))
    model.graph.node.insert(
        0,
        onnx.helper.make_node(
            "DictVectorizer", ["features"], ["X"], domain=ML, string_vocabulary=list("abcdef")
        ),
    )
    with pytest.raises(ModelInvalid, match=r"'features' takes maps .* without its DictVectorizer"):
        load_model(model.SerializeToString())
