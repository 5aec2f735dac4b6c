"""Weights in further files: read from beside the model, refused by name, and compressed all the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

import spectral_engine as se
from spectral_engine.errors import ModelInvalid, ModelTooLarge
from spectral_engine.measure.runtime import open_session
from spectral_engine.onnx_io.load import Limits, load_model
from tests.support.digits import save_digits, splits
from tests.support.external import save_external


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    return save_external(folder / "net.onnx")


def change(path: Path, **entries: str) -> str:
    """Change where the first external tensor says that it lies; return its name."""
    proto = onnx.load(path, load_external_data=False)
    tensor = next(t for t in proto.graph.initializer if t.data_location == TensorProto.EXTERNAL)
    kept = {entry.key: entry.value for entry in tensor.external_data} | entries
    del tensor.external_data[:]
    for key, value in kept.items():
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(proto.SerializeToString())
    return tensor.name


def test_the_module_answers_as_onnxruntime_does(model: Path) -> None:
    rows = splits()["x_test"][:5]

    (computed,) = se.load(model)(x=torch.from_numpy(rows)).values()

    (expected,) = open_session(model).run(None, {"x": rows})
    np.testing.assert_allclose(computed.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"location": "../weights"}, "leaves"),
        ({"location": "/etc/passwd"}, "leaves"),
        ({"location": "a/../../weights"}, "leaves"),
        ({"location": "..\\weights"}, "leaves"),
        ({"location": ""}, "leaves"),
        ({"location": "nothing"}, "missing"),
        ({"location": "."}, "leaves"),
        ({"location": "folder"}, "no readable file"),
        ({"location": "link"}, "link"),
        ({"location": "linked/weights"}, "link"),
        ({"location": "second"}, "second link"),
        ({"offset": "-1"}, "bytes"),
        ({"offset": "999999999"}, "bytes"),
        ({"length": "x"}, "numbers"),
        ({"length": "8"}, "need"),
    ],
)
def test_what_is_not_a_file_of_its_own_beside_the_model_is_refused_by_name(
    model: Path, entries: dict[str, str], told: str
) -> None:
    folder = model.parent
    (folder / "folder").mkdir()
    (folder / "link").symlink_to(folder / "net.data")
    (folder / "linked").symlink_to(folder.parent)
    (folder.parent / "weights").write_bytes(b"")
    (folder / "one").write_bytes(bytes(1 << 20))
    os.link(folder / "one", folder / "second")
    name = change(model, **entries)

    with pytest.raises(ModelInvalid, match=told) as refused:
        load_model(model)

    assert name in refused.value.detail
    assert refused.value.code == "model-invalid"


def test_a_tensor_of_a_body_is_refused_in_bytes_too() -> None:
    body = onnx.helper.make_graph([], "b", [], [])
    tensor = body.initializer.add(name="hidden", dims=[4], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (bool c) => (float[4] y) { y = If (c) }'
    )
    proto.graph.node[0].attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH, g=body)

    with pytest.raises(ModelInvalid, match="hidden"):
        load_model(proto.SerializeToString())


def test_the_bytes_of_all_files_together_are_limited(model: Path) -> None:
    with pytest.raises(ModelTooLarge, match="external data"):
        load_model(model, Limits(max_external_bytes=100))


def test_a_model_is_compressed_into_one_file(model: Path, tmp_path: Path) -> None:
    recipe = {"target": {"max_macs": 0.5}, "training": {"epochs": 1}, "prune": {"candidates": 2}}

    result = se.compress(model, save_digits(tmp_path / "d.npz"), recipe)

    smaller = onnx.load_from_string(result.chosen.model_bytes)
    assert all(t.data_location != TensorProto.EXTERNAL for t in smaller.graph.initializer)
    rows = splits()["x_test"][:5]
    (answers,) = open_session(result.chosen.model_bytes).run(None, {"x": rows})
    assert answers.shape == (5, 10)
    baseline = result.report.data.baseline
    files = [model, model.with_name("net.data")]
    assert baseline.file_bytes == sum(file.stat().st_size for file in files)
    assert baseline.sha256 == result.report.data.provenance.model_sha256
    assert result.report.data.chosen_candidate().measurement.file_bytes < baseline.file_bytes


def test_weights_are_mapped_and_not_read_until_they_are_used(model: Path) -> None:
    loaded = load_model(model)

    proto = onnx.load(model)
    for tensor in proto.graph.initializer:
        weight = loaded.graph.initializers[tensor.name].const_value
        assert weight is not None
        np.testing.assert_array_equal(weight.numpy(), onnx.numpy_helper.to_array(tensor))
        if tensor.ByteSize() > 1000:
            assert not weight.numpy().flags.writeable


def test_a_graph_that_is_not_sound_is_refused_wherever_its_weights_lie(model: Path) -> None:
    proto = onnx.load(model, load_external_data=False)
    proto.graph.node[0].output[0] = proto.graph.node[1].output[0]
    model.write_bytes(proto.SerializeToString())

    with pytest.raises(ModelInvalid, match="not sound"):
        load_model(model)
