"""Large weights are left in their file: the graph is the same, and so are the errors of files that are no models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from spectral_engine.errors import ModelInvalid, ModelTooLarge
from spectral_engine.measure import opened_model
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.onnx_io.load import Limits, load_mapped, load_whole
from spectral_engine.onnx_io.save import save_model, to_bytes
from tests.support.digits import trained


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(trained())
    return path


def large_arrays(model: ir.Model) -> dict[str, np.ndarray]:
    return {
        name: value.const_value.numpy()
        for name, value in model.graph.initializers.items()
        if value.const_value is not None and value.const_value.nbytes >= 1024
    }


@pytest.mark.parametrize("form", ["file", "bytes"])
def test_the_graph_is_that_of_a_file_read_whole(file: Path, form: str) -> None:
    source = file if form == "file" else file.read_bytes()

    loaded = load_mapped(source)

    assert loaded.mapped
    assert to_bytes(loaded.model) == to_bytes(load_whole(source).model)


def test_its_large_weights_are_views_and_no_copies(file: Path) -> None:
    arrays = large_arrays(load_mapped(file).model)

    assert len(arrays) == 3
    assert not any(array.flags.owndata or array.flags.writeable for array in arrays.values())


def test_what_is_written_tensor_by_tensor_has_the_bytes_of_the_whole(
    file: Path, tmp_path: Path
) -> None:
    save_model(load_mapped(file).model, tmp_path / "copy.onnx")

    assert (tmp_path / "copy.onnx").read_bytes() == to_bytes(load_whole(file).model)


@pytest.mark.parametrize("seed", range(20))
def test_a_file_that_is_no_model_gets_the_error_of_one_read_whole(file: Path, seed: int) -> None:
    random, content = np.random.default_rng(seed), bytearray(file.read_bytes())
    for position in random.integers(0, 600, 12):
        content[position] = random.integers(256)
    told = []
    for load in (load_whole, load_mapped):
        try:
            told.append(to_bytes(load(bytes(content)).model))
        except ModelInvalid as error:
            told.append(error.detail)
    assert told[0] == told[1]


def test_a_tensor_that_holds_too_little_is_refused_by_name(file: Path) -> None:
    proto = onnx.load(file)
    name = proto.graph.initializer[0].name
    proto.graph.initializer[0].raw_data = proto.graph.initializer[0].raw_data[:-4]
    with pytest.raises(ModelInvalid, match=name):
        load_mapped(proto.SerializeToString())


def test_a_file_above_the_limit_is_refused_before_it_is_read(file: Path) -> None:
    with pytest.raises(ModelTooLarge):
        load_mapped(file, Limits(max_bytes=1000))


def test_weights_that_old_files_list_as_inputs_keep_what_these_declare(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.ones((20, 20), np.float32), "w")
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "old",
        [
            helper.make_tensor_value_info("x", kind, ["n", 20]),
            helper.make_tensor_value_info("w", kind, [20, 20]),
        ],
        [helper.make_tensor_value_info("y", kind, ["n", 20])],
        [weight],
    )
    old = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=3)

    loaded = load_mapped(old.SerializeToString())

    assert loaded.mapped
    assert [value.name for value in loaded.model.graph.inputs] == ["x"]
    assert loaded.model.graph.initializers["w"].shape == ir.Shape([20, 20])


def test_a_large_file_is_parsed_once_and_its_graphs_share_their_weights(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened_model, "KEPT_BYTES", 1000)
    opened = OpenedModel(file)

    one, other = large_arrays(opened.graph), large_arrays(opened.graph)

    assert one
    assert all(np.shares_memory(one[name], other[name]) for name in one)
