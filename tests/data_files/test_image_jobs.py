"""Pictures from a folder or an archive, through everything: check, compress, the command line, and the service."""

import hashlib
import json
import re
import tarfile
import zipfile

import numpy as np
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

import spectral_engine as se
from service.cli.app import app
from service.client import Client, ClientError
from service.client.packing import as_one_file
from spectral_engine.data import Preprocessing
from spectral_engine.errors import DatasetMismatch
from tests.support import raw_http, shapes
from tests.support.running_service import IMPATIENT, running_service

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
QUICK = {
    "target": {"max_metric_drop": 0.3, "confidence": 0.8},
    "training": {"epochs": 8},
    "prune": {"candidates": 1},
    "seed": 0,
}


@pytest.fixture(scope="module")
def shapes_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    shapes.save_zip(folder / "shapes.zip")
    shapes.save_folder(folder / "shapes")
    shapes.save_net(folder / "net.onnx")
    with tarfile.open(folder / "shapes.tar.gz", "w:gz") as archive:
        archive.add(folder / "shapes", "shapes")
    return folder


def accuracy(model: bytes) -> float:
    """Return how often a model is right on all pictures, as Pillow, torch and onnxruntime have it."""
    x, y = shapes.arrays()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"pixels": x.numpy()})
    return float(np.mean(scores.argmax(1) == y.numpy()))


def test_folder_zip_and_tar_are_the_same_data_set(shapes_folder):
    checks = [
        se.check(shapes_folder / "net.onnx", shapes_folder / name)
        for name in ("shapes", "shapes.zip", "shapes.tar.gz")
    ]
    assert len({str(one.meaning) for one in checks}) == 1
    assert {one.original.value for one in checks} == {
        accuracy((shapes_folder / "net.onnx").read_bytes())
    }
    assert len({tuple(one.data.notes) for one in checks}) == 1


@pytest.mark.parametrize(
    ("scale", "shift"),
    [([1 / 255] * 3, [0.0] * 3), ([0.5] * 3, [0.5] * 3), (STD, MEAN)],
    ids=["0…255", "−1…1", "ImageNet"],
)
def test_a_model_of_other_values_is_found_out_and_the_option_named_works(
    shapes_folder, tmp_path, scale, shift
):
    net = shapes.save_net(tmp_path / "net.onnx", shapes.Rescaled(shapes.trained(), scale, shift))
    with pytest.raises(DatasetMismatch, match="pass preprocessing") as refused:
        se.check(net, shapes_folder / "shapes.zip")
    option = json.loads(re.search(r"pass preprocessing (\{.*?\})", refused.value.detail)[1])
    assert se.check(net, shapes_folder / "shapes.zip", preprocessing=option).original.value > 0.9


@pytest.mark.parametrize(
    "done",
    [
        {},
        {"scale": 0.5},
        {"mean": 2.0},
        {"scale": 0.25, "mean": MEAN, "std": STD},
        {"std": STD},
        {"scale": 1.0, "std": 4.0, "resize": 8},
    ],
)
@pytest.mark.parametrize(
    "further",
    [{"scale": 255.0}, {"scale": 2.0, "mean": 1.0}, {"mean": MEAN, "std": STD}, {"layout": "nchw"}],
)
def test_one_option_does_what_two_did_one_after_the_other(done, further):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    first = Preprocessing(**done).for_pixels()
    both = Preprocessing(**first.followed_by(further))
    second = Preprocessing(**{"scale": 1.0, **further})
    np.testing.assert_allclose(
        both.of_pixels(pixels), second.of_pixels(first.of_pixels(pixels)), rtol=1e-4, atol=1e-3
    )
    assert (both.resize, both.layout) == (done.get("resize"), further.get("layout", "as_is"))


def test_a_model_of_bytes_takes_them_as_they_are(shapes_folder, tmp_path):
    class Bytes(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = shapes.trained()

        def forward(self, x):
            return self.net(x.permute(0, 3, 1, 2).float() / 255)

    torch.onnx.export(
        Bytes(), (torch.zeros(2, 16, 16, 3, dtype=torch.uint8),), str(tmp_path / "net.onnx"), dynamo=False,
        input_names=["pixels"], dynamic_axes={"pixels": {0: "n"}},
    )  # fmt: skip
    check = se.check(tmp_path / "net.onnx", shapes_folder / "shapes.zip")
    assert check.original.value > 0.95
    assert any("RGB, 16 × 16, 0…255, as [16, 16, 3]" in note for note in check.data.notes)


def test_the_command_line_takes_a_folder(shapes_folder):
    ended = CliRunner().invoke(
        app, ["check", *map(str, (shapes_folder / "net.onnx", shapes_folder / "shapes")), "--json"]
    )
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["original"]["value"] > 0.95


def test_the_command_line_compresses_a_zip(shapes_folder, tmp_path):
    call = [
        "compress",
        shapes_folder / "net.onnx",
        shapes_folder / "shapes.zip",
        "-o",
        tmp_path / "small.onnx",
    ]
    more = ["--max-metric-drop", "0.3", "--epochs", "8", "--report", tmp_path / "report.json"]
    ended = CliRunner().invoke(app, [*map(str, [*call, *more]), "--json"])
    assert ended.exit_code in {0, 3}, ended.output
    data = json.loads((tmp_path / "report.json").read_text())["data"]
    assert data["classes"] == list(shapes.CLASSES)  # as the net has them, not as the alphabet
    assert data["meaning"]["order"] == "matched"
    assert any("16 × 16, 0…1" in note for note in data["notes"])
    small = (tmp_path / "small.onnx").read_bytes()
    assert len(small) < len((shapes_folder / "net.onnx").read_bytes())
    assert accuracy(small) > 0.75


def test_over_rest_archives_arrive_in_every_way_and_are_compressed(shapes_folder, tmp_path):
    with running_service(tmp_path, **IMPATIENT) as service, Client(service.url) as client:
        model = client.models.create(shapes_folder / "net.onnx")
        form = raw_http.upload(service.url, "datasets", shapes_folder / "shapes.tar.gz")
        raw = client.datasets.create(shapes_folder / "shapes.zip")
        folder = client.datasets.create(
            shapes_folder / "shapes", preprocessing={"resize": [16, 16]}
        )
        for sent, name in ((form["sha256"], "shapes.tar.gz"), (raw.sha256, "shapes.zip")):
            assert sent == hashlib.sha256((shapes_folder / name).read_bytes()).hexdigest()
        assert folder.name == "shapes"
        again = client.datasets.create(shapes_folder / "shapes")
        assert again.sha256 == folder.sha256  # the same folder is the same bytes
        job = client.jobs.create(model=model.id, dataset=folder.id, recipe=QUICK)
        last = list(job.events())[-1]
        job.refresh()
        assert last.type == "job.succeeded", job.error
        assert job.outcome == "target_met"
        assert accuracy(job.download_model(tmp_path / "small.onnx").read_bytes()) > 0.6


def test_a_folder_is_packed_without_what_nobody_means(tmp_path):
    (tmp_path / "f" / "cats").mkdir(parents=True)
    for name in ("cats/1.png", "cats/.DS_Store", "Thumbs.db", ".hidden", "labels.csv"):
        (tmp_path / "f" / name).write_bytes(b"x")
    (tmp_path / "f" / "cats" / "loop").symlink_to(tmp_path / "f")
    with as_one_file(tmp_path / "f") as packed, zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == ["cats/1.png", "labels.csv"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClientError, match="no files"), as_one_file(tmp_path / "empty"):
        pass
