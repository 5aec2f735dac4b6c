"""Models that do not fit in one file: written with their weights beside them, read back the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from examples.specimens.zoo import NETS, specimen
from spectral_engine.graph.surgery import copy_model
from spectral_engine.measure.runtime import open_session
from spectral_engine.onnx_io import save
from spectral_engine.onnx_io.initializers import derived
from spectral_engine.onnx_io.load import load_model
from spectral_engine.onnx_io.save import (
    copy_files,
    data_path,
    name_by_content,
    save_model,
    to_bytes,
)
from tests.support.digits import splits, trained
from tests.support.split_files import FEW_BYTES

ROWS = splits()["x_test"][:5]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save, "ONE_FILE_BYTES", FEW_BYTES)


def answers(model: bytes | Path) -> np.ndarray:
    return np.asarray(open_session(model).run(None, {"x": ROWS})[0])


def locations(path: Path) -> set[str]:
    proto = onnx.load(path, load_external_data=False)
    return {
        e.value for t in proto.graph.initializer for e in t.external_data if e.key == "location"
    }


def test_what_fits_is_one_file_and_the_bytes_are_those_of_the_graph(tmp_path: Path) -> None:
    model = load_model(trained())

    assert save_model(model, tmp_path / "m.onnx") == ()

    assert (tmp_path / "m.onnx").read_bytes() == to_bytes(model)
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]


@pytest.mark.usefixtures("few")
class TestBeside:
    def test_weights_that_do_not_fit_lie_beside_and_onnxruntime_answers_the_same(
        self, tmp_path: Path
    ) -> None:
        beside = save_model(load_model(trained()), tmp_path / "m.onnx")

        assert beside == (tmp_path / "m.onnx.data",)
        assert locations(tmp_path / "m.onnx") == {"m.onnx.data"}
        onnx.checker.check_model(str(tmp_path / "m.onnx"))
        np.testing.assert_array_equal(answers(tmp_path / "m.onnx"), answers(trained()))

    def test_each_weight_begins_at_a_page_so_that_runtimes_can_map_it(self, tmp_path: Path) -> None:
        save_model(load_model(trained()), tmp_path / "m.onnx")

        proto = onnx.load(tmp_path / "m.onnx", load_external_data=False)
        entries = [e for t in proto.graph.initializer for e in t.external_data if e.key == "offset"]
        assert len(entries) == 3
        assert all(int(entry.value) % 4096 == 0 for entry in entries)

    def test_the_files_can_be_moved_together(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        save_model(load_model(trained()), tmp_path / "a" / "m.onnx")

        (tmp_path / "a").rename(tmp_path / "b")

        np.testing.assert_array_equal(answers(tmp_path / "b" / "m.onnx"), answers(trained()))

    @pytest.mark.parametrize("name", ["residual", "llama", "lstm", "group_normed"])
    def test_every_tensor_comes_back_bit_for_bit(self, name: str, tmp_path: Path) -> None:
        model = load_model(specimen(name).model)

        save_model(model, tmp_path / "m.onnx")

        assert to_bytes(load_model(tmp_path / "m.onnx")) == to_bytes(model)

    def test_the_name_by_content_is_the_same_for_the_same_weights_and_no_other(
        self, tmp_path: Path
    ) -> None:
        def written(folder: str, change: float) -> Path:
            (tmp_path / folder).mkdir()
            model = load_model(trained())
            for value in model.graph.initializers.values():
                assert value.const_value is not None
                array = value.const_value.numpy() + np.float32(change)
                value.const_value = ir.Tensor(array, name=value.name)
            path = tmp_path / folder / "m.onnx"
            (data,) = name_by_content(path, save_model(model, path))
            assert locations(path) == {data.name}
            assert answers(path).shape == (5, 10)
            return data

        first, again, other = written("a", 0.0), written("b", 0.0), written("c", 0.5)

        assert first.name == again.name != other.name
        assert not data_path(tmp_path / "a" / "m.onnx").exists()

    def test_a_copy_has_its_weights_under_its_own_name(self, tmp_path: Path) -> None:
        path = tmp_path / "m.onnx"
        beside = name_by_content(path, save_model(load_model(trained()), path))

        written = copy_files(path, beside, tmp_path / "out.onnx")

        assert [file.name for file in written] == ["out.onnx", "out.onnx.data"]
        for file in (path, *beside):
            file.unlink()
        np.testing.assert_array_equal(answers(tmp_path / "out.onnx"), answers(trained()))

    def test_whoever_has_mapped_an_older_copy_keeps_it(self, tmp_path: Path) -> None:
        path = tmp_path / "m.onnx"
        beside = save_model(load_model(trained()), path)
        copy_files(path, beside, tmp_path / "out.onnx")
        old = load_model(tmp_path / "out.onnx")
        before = to_bytes(old)
        beside[0].write_bytes(bytes(beside[0].stat().st_size))

        copy_files(path, beside, tmp_path / "out.onnx")

        assert to_bytes(old) == before != to_bytes(load_model(tmp_path / "out.onnx"))

    def test_no_more_than_one_worked_out_weight_is_held(self, tmp_path: Path) -> None:
        model = load_model(trained())
        worked_out: list[str] = []
        for value in model.graph.initializers.values():
            assert value.const_value is not None

            def note(array: np.ndarray, name: str = value.name or "") -> None:
                worked_out.append(name)
                array += 1

            value.const_value = derived(value.const_value, note)
        assert worked_out == []

        save_model(model, tmp_path / "m.onnx")

        assert sorted(worked_out) == sorted(model.graph.initializers)


@pytest.mark.parametrize("name", [*NETS])
def test_a_copy_of_a_graph_is_the_graph_and_changing_it_changes_no_other(name: str) -> None:
    model = load_model(specimen(name).model)
    before = to_bytes(model)

    twin = copy_model(model)

    assert to_bytes(twin) == before
    for key, value in twin.graph.initializers.items():
        value.const_value = ir.Tensor(np.zeros(3, np.float32), name=key)
    for node in list(twin.graph):
        node.attributes.clear()
        node.outputs[0].shape = None
    assert to_bytes(model) == before
