"""Untrusted bytes: what is no sound model is refused in words, and nothing else happens."""

import contextlib

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper, numpy_helper

import spectral_engine as se
from spectral_engine.errors import ModelInvalid, ModelTooLarge, UnsupportedOperator
from spectral_engine.onnx_io.load import Limits, load_model
from spectral_engine.onnx_io.save import to_bytes
from tests.support.digits import trained


def parse(text, opset=17):
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> {text}')


def test_empty_bytes_are_no_model():
    with pytest.raises(ModelInvalid, match="empty"):
        load_model(b"")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(keep):
    content = trained()
    with pytest.raises(ModelInvalid):
        load_model(content[: int(len(content) * keep)])


@pytest.mark.parametrize("seed", range(40))
def test_garbage_is_refused_and_never_crashes(seed):
    rng = np.random.default_rng(seed)
    content = bytearray(trained())
    for offset in rng.integers(0, 600, 12):
        content[offset] = rng.integers(256)
    with contextlib.suppress(ModelInvalid):  # anything else that is raised fails the test
        assert load_model(bytes(content)).graph.outputs


def test_a_graph_without_nodes_is_refused():
    empty = helper.make_model(helper.make_graph([], "g", [], []))
    with pytest.raises(ModelInvalid, match="no ONNX graph"):
        load_model(empty.SerializeToString())


def test_a_tensor_that_declares_too_much_is_refused_before_it_is_made():
    model = onnx.load_from_string(trained())
    model.graph.initializer[0].dims[:] = [2**20, 2**20]
    with pytest.raises(ModelTooLarge, match=model.graph.initializer[0].name):
        load_model(model.SerializeToString())


def test_limits_of_bytes_and_nodes_are_kept():
    with pytest.raises(ModelTooLarge, match="bytes"):
        load_model(trained(), Limits(max_bytes=100))
    with pytest.raises(ModelTooLarge, match="nodes"):
        load_model(trained(), Limits(max_nodes=2))


def test_a_cycle_and_a_missing_value_are_refused():
    cycle = parse("g (float[N] x) => (float[N] y) { y = Add(x, z)  z = Relu(y) }")
    missing = parse("g (float[N] x) => (float[N] y) { y = Add(x, z) }")
    for model in (cycle, missing):
        with pytest.raises(ModelInvalid):
            load_model(model.SerializeToString())


def test_an_old_opset_is_refused_by_number():
    with pytest.raises(UnsupportedOperator, match="opset 6"):
        load_model(
            parse("g (float[N] x) => (float[N] y) { y = Relu(x) }", opset=6).SerializeToString()
        )


def test_a_quantized_graph_asks_for_the_float_model():
    model = parse(
        "g (float[N] x, float s, uint8 z) => (uint8[N] y) { y = QuantizeLinear(x, s, z) }"
    )
    with pytest.raises(UnsupportedOperator, match="upload the float model"):
        load_model(model.SerializeToString())


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "link"])
def test_external_data_cannot_leave_the_models_folder(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"\0" * 64)
    (folder / "link").symlink_to(tmp_path / "secret")
    path = folder / "model.onnx"
    path.write_bytes(external_model(location).SerializeToString())
    with pytest.raises(ModelInvalid):
        load_model(path)


def test_external_data_beside_the_model_are_read(tmp_path):
    (tmp_path / "weights").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    path = tmp_path / "model.onnx"
    path.write_bytes(external_model("weights").SerializeToString())
    weight = load_model(path).graph.initializers["w"].const_value.numpy()
    np.testing.assert_array_equal(weight, np.arange(4))


def test_external_data_of_bytes_are_refused_by_initializer():
    with pytest.raises(ModelInvalid, match="'w'"):
        load_model(external_model("weights").SerializeToString())


def test_names_opset_metadata_and_doc_strings_stay():
    before = onnx.load_from_string(trained())
    before.doc_string = "as it came"
    before.graph.doc_string = "graph"
    before.metadata_props.add(key="owner", value="us")
    after = onnx.load_from_string(to_bytes(load_model(before.SerializeToString())))
    assert (after.doc_string, after.graph.doc_string) == ("as it came", "graph")
    assert {p.key: p.value for p in after.metadata_props} == {"owner": "us"}
    assert after.graph.input == before.graph.input
    assert after.graph.output == before.graph.output
    assert [(o.domain, o.version) for o in after.opset_import] == [
        (o.domain, o.version) for o in before.opset_import
    ]
    assert [n.name for n in after.graph.node] == [n.name for n in before.graph.node]


def external_model(location):
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    model = parse("g (float[N, 4] x) => (float[N, 4] y) { y = Add(x, w) }")
    model.graph.initializer.append(tensor)
    return model


MLP = "g (float[N, 4] x) => (float[N, 4] y) { first = Relu(x) y = Neg(first) }"


def test_an_output_may_declare_no_shape():
    model = parse(MLP)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    loaded = load_model(model.SerializeToString())
    assert loaded.graph.outputs[0].shape is None
    written = onnx.load_from_string(to_bytes(loaded))
    assert not written.graph.output[0].type.tensor_type.HasField("shape")


def test_a_negative_size_is_an_axis_of_any_length():
    """As older converters of PaddlePaddle write it, and as onnxruntime reads it."""
    weights = f"<float[8, 3, 1, 1] wide = {{{_numbers(24)}}}, float[5, 8, 1, 1] last = {{{_numbers(40)}}}>"
    nodes = "{ a = Conv(x, wide) b = Relu(a) y = Conv(b, last) }"
    model = parse(f"g (float[N, 3, H, W] x) => (float[N, 5, H, W] y) {weights} {nodes}")
    for value in (*model.graph.input, *model.graph.output):
        for axis in (0, 2, 3):
            value.type.tensor_type.shape.dim[axis].dim_value = -1

    assert list(load_model(model.SerializeToString()).graph.inputs[0].shape) == [
        None,
        3,
        None,
        None,
    ]
    (layer, _) = se.analyze(model.SerializeToString()).layers
    assert (layer.nodes, layer.removable) == (8, 8)


def _numbers(count):
    return ", ".join(f"{np.sin(number):.3f}" for number in range(count))


def test_an_input_without_a_shape_is_refused_by_name():
    model = parse(MLP)
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(ModelInvalid, match="input 'x' declares no shape"):
        load_model(model.SerializeToString())


def test_a_refusal_of_the_checker_names_the_node():
    model = parse(MLP)
    model.graph.node[0].name = "odd"
    model.graph.node[0].attribute.append(helper.make_attribute("axis", 1))
    with pytest.raises(ModelInvalid, match=r"axis.*node 'odd', Relu"):
        load_model(model.SerializeToString())


def test_a_node_that_runs_too_early_is_named():
    model = parse(MLP)
    model.graph.node[1].name = "odd"
    model.graph.node.append(model.graph.node[0])
    del model.graph.node[0]
    with pytest.raises(ModelInvalid, match=r"'first'.*odd"):
        load_model(model.SerializeToString())


def test_a_name_that_is_no_text_is_refused_with_its_place():
    content = parse(MLP).SerializeToString().replace(b"first", b"f\xffrst")
    with pytest.raises(ModelInvalid, match=r"node 0 \('Relu'\).*not UTF-8"):
        load_model(content)
