"""A letterbox: boxes of the image files are found again where a bright rectangle lies in what the model sees."""

import numpy as np
import pytest
from PIL import Image

from spectral_engine.data import load_splits
from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import InvalidRequest

SIDE = 32
SPEC = InputSpec("x", np.dtype(np.float32), (None, 1, SIDE, SIDE))
SIZES = [(64, 32), (30, 90), (64, 64), (50, 33)]  # width, height
OBJECT = (0.25, 0.5, 0.625, 0.875)  # x1, y1, x2, y2 in shares of the file


def write(folder):
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    x1, y1, x2, y2 = OBJECT
    for row in range(24):
        width, height = SIZES[row % len(SIZES)]
        pixels = np.zeros((height, width), np.uint8)
        pixels[round(y1 * height) : round(y2 * height), round(x1 * width) : round(x2 * width)] = 255
        Image.fromarray(pixels).save(folder / "images" / f"{row:02}.png")
        line = f"0 {(x1 + x2) / 2} {(y1 + y2) / 2} {x2 - x1} {y2 - y1}"
        (folder / "labels" / f"{row:02}.txt").write_text(line)
    return folder


def rows_of(folder, preprocessing):
    splits = load_splits(folder, [SPEC], seed=0, preprocessing=preprocessing)
    return [
        (x[0], y[0]) for part in splits.parts for x, y in zip(part.inputs["x"], part.labels, strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize("option", [{"letterbox": "centre"}, {"letterbox": "corner"}, {}])
def test_the_box_lies_where_the_object_lies(option, tmp_path):
    for image, (_, x, y, width, height) in rows_of(write(tmp_path / "d"), option):
        down, across = np.nonzero(image > 0.6)  # the borders are 114 / 255
        seen = across.min(), down.min(), across.max() + 1, down.max() + 1
        said = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2]) * SIDE
        np.testing.assert_allclose(said, seen, atol=1.01)


def test_the_aspect_is_kept_and_the_rest_is_fill(tmp_path):
    rows = rows_of(write(tmp_path / "d"), {"letterbox": "centre", "fill": 200})
    shapes = set()
    for image, _ in rows:
        border = np.isclose(image, 200 / 255)
        shapes.add((SIDE - border.all(axis=1).sum(), SIDE - border.all(axis=0).sum()))
    # Height and width of 64 × 32, 30 × 90, 64 × 64 and 50 × 33 in a square of 32.
    assert shapes == {(16, 32), (32, 11), (32, 32), (21, 32)}


@pytest.mark.parametrize("option", [{"crop": 8}, {"resize": 32}])
def test_what_does_not_go_with_a_letterbox_is_refused(option, tmp_path):
    with pytest.raises(InvalidRequest):
        rows_of(write(tmp_path / "d"), {"letterbox": "centre"} | option)
