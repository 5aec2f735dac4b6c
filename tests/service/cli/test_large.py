"""`eigenpress compress` where one file holds next to nothing: the weights go beside it."""

import json
import shutil

import onnx
import pytest
from typer.testing import CliRunner

from service.cli.app import app
from spectral_engine.measure.runtime import open_session
from spectral_engine.onnx_io import save
from tests.support.digits import splits
from tests.support.external import save_external
from tests.support.split_files import FEW_BYTES

EASY = ["--keep-nodes", "0.5", "--epochs", "1"]


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(save, "ONE_FILE_BYTES", FEW_BYTES)


def compress(*arguments):
    return CliRunner().invoke(app, ["compress", *map(str, arguments)])


def test_the_model_and_its_weights_are_written_and_told(model, data, tmp_path):
    out = tmp_path / "out.onnx"

    ended = compress(model, data, "-o", out, *EASY, "--json")

    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert told["external"] == [f"{out}.data"]
    both = tmp_path / "elsewhere"
    both.mkdir()
    for file in (out, *told["external"]):
        shutil.move(file, both)
    (logits,) = open_session(both / "out.onnx").run(None, {"x": splits()["x_test"]})
    assert logits.shape == (400, 10)


def test_weights_that_would_replace_those_of_the_model_are_refused_before_training(data, tmp_path):
    source = save_external(tmp_path / "net.onnx")
    proto = onnx.load(source)
    onnx.save(
        proto, source, save_as_external_data=True, location="out.onnx.data", size_threshold=64
    )
    before = (tmp_path / "out.onnx.data").read_bytes()

    ended = compress(source, data, "-o", tmp_path / "out.onnx", *EASY)

    assert ended.exit_code == 2
    assert "out.onnx.data" in ended.output
    assert (tmp_path / "out.onnx.data").read_bytes() == before
