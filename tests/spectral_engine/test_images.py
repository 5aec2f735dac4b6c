"""A folder of pictures to a narrower net: what the job measures is what Pillow and onnxruntime give outside."""

import io
import json
import re
import zipfile

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn

import spectral_engine as se
from service.client.folders import packed
from spectral_engine.errors import DatasetMismatch

CLASSES = ("circle", "cross", "square")
SIDE = 16


def drawn(label, rng):
    """Return a picture of 20 × 24 pixels with one shape in it, somewhere."""
    image = Image.new("RGB", (24, 20), tuple(int(v) for v in rng.integers(0, 60, 3)))
    pen, (x, y) = ImageDraw.Draw(image), rng.integers(6, 13, 2)
    colour = tuple(int(v) for v in rng.integers(150, 256, 3))
    if label == "circle":
        pen.ellipse((x - 5, y - 5, x + 5, y + 5), outline=colour)
    elif label == "square":
        pen.rectangle((x - 5, y - 5, x + 5, y + 5), fill=colour)
    else:
        pen.line((x - 5, y, x + 5, y), fill=colour)
        pen.line((x, y - 5, x, y + 5), fill=colour)
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures in train/ and test/, one folder per class."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for part, count in (("train", 180), ("test", 120)):
        for i in range(count):
            label = CLASSES[i % 3]
            (root / part / label).mkdir(parents=True, exist_ok=True)
            drawn(label, rng).save(root / part / label / f"{i}.png")
    return root


def rows(folder, part):
    """Return pixels [rows, 3, 16, 16] in 0…1 and classes, as somebody else would read them."""
    files = sorted((folder / part).rglob("*.png"))
    images = [Image.open(file).resize((SIDE, SIDE), Image.Resampling.BILINEAR) for file in files]
    x = np.stack([np.asarray(image, np.float32).transpose(2, 0, 1) / 255 for image in images])
    return x, np.array([CLASSES.index(file.parent.name) for file in files])


@pytest.fixture(scope="module")
def model(folder, tmp_path_factory):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 24, 3, padding=1),
        nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(24, 3),
    )  # fmt: skip
    x, y = (torch.from_numpy(array) for array in rows(folder, "train"))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    torch.onnx.export(
        net.eval(), (x[:2],), str(path), input_names=["pixels"], output_names=["logits"], dynamo=False,
        dynamic_axes={"pixels": {0: "n"}, "logits": {0: "n"}},
    )  # fmt: skip
    return path


def accuracy(model, folder):
    x, y = rows(folder, "test")
    answers = onnxruntime.InferenceSession(model).run(None, {"pixels": x})[0]
    return float((answers.argmax(1) == y).mean())


def test_a_folder_of_pictures_gives_a_narrower_net_that_still_knows_them(model, folder):
    recipe = {"target": {"keep_nodes": 0.5}, "training": {"epochs": 8}, "prune": {"candidates": 1}}
    result = se.compress(model, folder, recipe)
    baseline, chosen = result.report.data.baseline, result.chosen.entry.measurement
    assert baseline.metric.value == pytest.approx(accuracy(model, folder))
    assert baseline.metric.value > 0.9
    assert chosen.metric.value == pytest.approx(accuracy(result.chosen.model_bytes, folder))
    assert chosen.nodes <= 0.5 * baseline.nodes
    assert any("scaled to 16 × 16" in note for note in result.report.data.data.notes)


def test_a_folder_and_its_archive_mean_the_same(model, folder):
    with packed(folder) as archive, packed(folder) as again:
        assert archive.read_bytes() == again.read_bytes()
        assert zipfile.is_zipfile(io.BytesIO(archive.read_bytes()))
        packed_rows = se.check(model, archive)
    assert packed_rows.original == se.check(model, folder).original


@pytest.mark.parametrize(
    "said", [{"scale": 0.0001}, {"scale": 1.0}, {"mean": 100.0, "std": [0.1, 0.1, 0.1]}]
)
def test_pixels_of_another_range_are_noticed_and_the_remedy_is_one(model, folder, said):
    with pytest.raises(DatasetMismatch, match="pass preprocessing") as caught:
        se.check(model, folder, preprocessing=said)
    remedy = re.search(r"pass preprocessing (\{.*?\})", caught.value.detail)[1]
    assert se.check(model, folder, preprocessing=json.loads(remedy)).original.value > 0.9
