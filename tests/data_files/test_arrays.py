"""Arrays under the names that people give them; what nobody read is said; axes are never reshaped into place."""

import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_engine.data import InputSpec, load_splits
from spectral_engine.errors import DatasetMismatch, EngineError

ROWS = InputSpec("input", np.dtype(np.float32), (None, 6))
X = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
Y = np.arange(60) % 3


def load(tmp_path, spec=ROWS, outputs=("species",), array=None, **arrays):
    np.savez(tmp_path / "d.npz", **arrays)
    return load_splits(tmp_path / "d.npz", [spec], seed=0, outputs=outputs, array=array)


@pytest.mark.parametrize("x", ["x", "X", "data", "input", "features", "images"])
@pytest.mark.parametrize("y", ["y", "Y", "label", "labels", "target", "targets", "species"])
def test_usual_names_are_known(tmp_path, x, y):
    splits = load(tmp_path, **{x: X, y: Y})
    assert sorted(splits.labels) == sorted(Y)


@pytest.mark.parametrize("val", ["val", "valid", "validation", "dev"])
@pytest.mark.parametrize("form", ["x_{}", "X_{}", "{}_x"])
def test_parts_are_known_by_their_usual_names(tmp_path, val, form):
    names = {"x": form, "y": form.replace("x", "y").replace("X", "y")}
    arrays = {}
    for part, rows in (("train", slice(30)), (val, slice(30, 45)), ("test", slice(45, None))):
        arrays[names["x"].format(part)], arrays[names["y"].format(part)] = X[rows], Y[rows]
    splits = load(tmp_path, **arrays)
    assert splits.summary.split == "given"
    np.testing.assert_array_equal(splits.validation.inputs["input"], X[30:45])


def test_arrays_that_nobody_read_are_named(tmp_path):
    splits = load(tmp_path, x=X, y=Y, weights=Y, ids=Y)
    assert {"array 'weights' was not read", "array 'ids' was not read"} <= set(splits.summary.notes)


def test_two_arrays_that_may_be_labels_are_refused_with_the_remedy(tmp_path):
    with pytest.raises(DatasetMismatch, match=r"labels\.array"):
        load(tmp_path, x=X, labels=Y, targets=Y)
    assert load(tmp_path, x=X, labels=Y, targets=Y + 1, array="targets").labels.max() == 3


def test_an_array_alone_asks_for_its_labels_and_takes_them_from_beside_it(tmp_path):
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(DatasetMismatch, match="npz"):
        load_splits(tmp_path / "x.npy", [ROWS], seed=0)
    np.save(tmp_path / "y.npy", Y)
    assert load_splits(tmp_path / "x.npy", [ROWS], seed=0).labels is not None


@pytest.mark.parametrize(
    ("shape", "wanted", "layout"),
    [
        ((3, 8, 8), (8, 8, 3), "nhwc"),
        ((8, 8, 3), (3, 8, 8), "nchw"),
        ((4, 6, 3), (3, 4, 6), "nchw"),
    ],
)
def test_channels_at_the_other_end_are_refused_and_the_option_puts_them_right(
    tmp_path, shape, wanted, layout
):
    spec = InputSpec("input", np.dtype(np.float32), (None, *wanted))
    images = np.random.default_rng(0).normal(size=(60, *shape)).astype(np.float32)
    with pytest.raises(DatasetMismatch, match=f'"layout": "{layout}"'):
        load(tmp_path, spec, x=images, y=Y)
    splits = load_splits(tmp_path / "d.npz", [spec], seed=0, preprocessing={"layout": layout})
    axes = (0, 3, 1, 2) if layout == "nchw" else (0, 2, 3, 1)
    together = np.concatenate([part.inputs["input"] for part in splits.parts])
    assert sorted(together.sum((1, 2, 3))) == pytest.approx(
        sorted(images.transpose(axes).sum((1, 2, 3))), abs=1e-4
    )


@pytest.mark.parametrize(
    ("shape", "wanted"), [((28, 28), (1, 28, 28)), ((784,), (1, 28, 28)), ((1, 28, 28), (784,))]
)
def test_axes_of_one_and_flat_rows_are_put_into_shape(tmp_path, shape, wanted):
    spec = InputSpec("input", np.dtype(np.float32), (None, *wanted))
    splits = load(tmp_path, spec, x=np.zeros((60, *shape), np.float32), y=Y)
    assert splits.train.inputs["input"].shape[1:] == wanted


def test_axes_in_any_other_order_are_refused(tmp_path):
    spec = InputSpec("input", np.dtype(np.float32), (None, 4, 6, 3))
    with pytest.raises(DatasetMismatch, match=r"\[6, 4, 3\]"):
        load(tmp_path, spec, x=np.zeros((60, 6, 4, 3), np.float32), y=Y)


@pytest.mark.parametrize("labels", [np.where(Y == 1, np.nan, Y), np.where(Y == 1, "", "a")])
def test_labels_without_a_value_are_named_by_row_and_count(tmp_path, labels):
    with pytest.raises(DatasetMismatch, match=r"row 1 \(20 of 60"):
        load(tmp_path, x=X, y=labels)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8))
def test_a_damaged_archive_is_read_or_refused_and_never_a_traceback(tmp_path_factory, at, put):
    path = tmp_path_factory.mktemp("fuzz") / "d.npz"
    np.savez(path, x=X, y=Y)
    content = bytearray(path.read_bytes())
    content[at : at + len(put)] = put
    path.write_bytes(bytes(content))
    with suppress(EngineError):  # and nothing else
        load_splits(path, [ROWS], seed=0)


def test_a_header_that_is_no_python_is_refused(tmp_path):
    header = np.lib.format.header_data_from_array_1_0(X)
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        text = repr(header).replace("}", "").ljust(117) + "\n"
        archive.writestr(
            "x.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
        )
    with pytest.raises(DatasetMismatch, match="is not an array"):
        load_splits(tmp_path / "d.npz", [ROWS], seed=0)
