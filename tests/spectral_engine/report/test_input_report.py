"""What a report tells of the inputs, from data file to page: names of tables, pictures of images, every input apart."""

import csv
import io

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
import torch
from torch import nn

import spectral_engine as se
from spectral_engine.report.html import render
from tests.support.digits import save_digits, trained
from tests.support.page import Page

pytestmark = pytest.mark.measured_in_full

NAMES = ["age", "income", "=shoe size", "<b>height</b>"]
RECIPE = se.Recipe(
    target={"keep_nodes": 0.5},
    training={"epochs": 3},
    prune={"candidates": 1},
    allow_poor_original=True,
)


def exported(net: nn.Module, **inputs: torch.Tensor) -> bytes:
    file = io.BytesIO()
    torch.onnx.export(
        net,
        tuple(inputs.values()),
        file,
        input_names=list(inputs),
        output_names=["logits"],
        dynamic_axes={name: {0: "batch"} for name in (*inputs, "logits")},
        dynamo=False,
    )
    return file.getvalue()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """People of two kinds, told apart by their income alone, as a CSV and a Parquet file; and a model of them."""
    folder = tmp_path_factory.mktemp("table")
    x = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    with (folder / "people.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow([*NAMES, "kind"])
        lines.writerows([*row.tolist(), int(row[1] > 0)] for row in x)
    read = pyarrow.csv.read_csv(folder / "people.csv")
    pyarrow.parquet.write_table(read, folder / "people.parquet")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    with torch.no_grad():
        net[0].weight[:, 1] *= 4
    return folder, exported(net, x=torch.zeros(1, 4))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_names_of_a_table_go_through_to_bars_on_the_page(table, kind):
    folder, model = table
    report = se.compress(model, folder / f"people.{kind}", RECIPE, label="kind").report.data
    (only,) = report.input_relevance
    assert (only.input, only.shape, only.feature_names) == ("x", [4], NAMES)
    assert sum(only.values) == pytest.approx(1)
    assert max(zip(only.values, NAMES, strict=True))[1] == "income"
    page = Page(render(report))
    looks_at = page.words[page.words.index("What the model looks at") :]
    assert looks_at.index("income") < looks_at.index("age")
    assert "<b>height</b>" in looks_at
    assert not [tag for tag, _ in page.tags if tag == "img"]


class Shaped(nn.Module):
    """Digits as images with a channel, and their mean beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(8 * 64 + 1, 10)

    def forward(self, image: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat((torch.relu(self.stem(image)).flatten(1), mean), 1))


def test_every_input_has_its_own_entry_an_image_its_heat_map(tmp_path):
    with np.load(save_digits(tmp_path / "digits.npz")) as flat:
        arrays = {name: flat[name] for name in flat.files if name.startswith("y")}
        for part in ("train", "val", "test"):
            arrays[f"image_{part}"] = flat[f"x_{part}"].reshape(-1, 1, 8, 8)
            arrays[f"mean_{part}"] = flat[f"x_{part}"].mean(axis=1, keepdims=True)
    np.savez(tmp_path / "both.npz", **arrays)
    torch.manual_seed(0)
    model = exported(Shaped(), image=torch.zeros(1, 1, 8, 8), mean=torch.zeros(1, 1))
    report = se.compress(model, tmp_path / "both.npz", RECIPE).report.data
    assert [(item.input, item.shape) for item in report.input_relevance] == [
        ("image", [1, 8, 8]),
        ("mean", [1]),
    ]
    assert sum(sum(item.values) for item in report.input_relevance) == pytest.approx(1)
    (image,) = [attributes for tag, attributes in Page(render(report)).tags if tag == "img"]
    assert image["src"].startswith("data:image/png")
    assert image["alt"] == "Relevance of each pixel of input image, 8 by 8"


def test_pixels_that_are_always_black_have_no_relevance(tmp_path):
    data = save_digits(tmp_path / "digits.npz")
    (only,) = se.compress(trained(), data, RECIPE).report.data.input_relevance
    with np.load(data) as arrays:
        never_ink = np.ptp(arrays["x_train"], axis=0) == 0
    assert never_ink.any()
    values = np.array(only.values)
    assert (values[never_ink] == 0).all()
    assert (values[~never_ink] > 0).sum() > 40
