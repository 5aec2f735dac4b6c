"""Labels under less usual names, parts that only some arrays name, and labels that lie beside the file."""

import hashlib

import numpy as np
import pytest

from spectral_engine.data import InputSpec, load_splits
from spectral_engine.errors import DatasetMismatch

ROWS = InputSpec("input", np.dtype(np.float32), (None, 6))
X = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
Y = np.arange(60) % 3


def load(path, spec=ROWS, array=None, **arrays):
    np.savez(path / "d.npz", **arrays)
    return load_splits(path / "d.npz", [spec], seed=0, outputs=["logits"], array=array)


def paired(splits, labels=Y):
    """Say whether every row stands beside its own label."""
    rows = {row.tobytes(): label for row, label in zip(X, labels, strict=True)}
    return all(
        np.array_equal(rows[row.tobytes()], label)
        for part in splits.parts
        for row, label in zip(part.inputs["input"], part.labels, strict=True)
    )


@pytest.mark.parametrize("y", ["t", "masks", "segmentation", "output", "species", "y_true"])
@pytest.mark.parametrize("x", ["x", "images", "input"])
def test_likely_names_are_labels_where_nothing_else_is(tmp_path, x, y):
    splits = load(tmp_path, **{x: X, y: Y})
    assert paired(splits)
    assert f"labels are read from array {y!r}" in splits.summary.notes


def test_a_usual_name_comes_before_a_likely_one(tmp_path):
    splits = load(tmp_path, x=X, y=Y, t=Y[::-1])
    assert paired(splits)
    assert "array 't' was not read" in splits.summary.notes


def test_a_mask_is_a_label_where_it_has_the_axes_of_images(tmp_path):
    images = InputSpec("input", np.dtype(np.float32), (None, 1, 4, 4))
    x, masks = np.zeros((60, 1, 4, 4), np.float32), np.arange(960).reshape(60, 4, 4) % 2
    assert load(tmp_path, images, x=x, mask=masks).labels.shape == (60, 4, 4)
    assert load(tmp_path, x=X, mask=np.ones((60, 6), bool)).labels is None


@pytest.mark.parametrize(
    "names", [("y_cls", "y_reg"), ("t", "masks"), ("other",)], ids=lambda names: names[0]
)
def test_a_job_without_labels_names_the_arrays_that_might_hold_them(tmp_path, names):
    splits = load(tmp_path, x=X, mean=X[0], **dict.fromkeys(names, Y))
    assert splits.labels is None
    said = "was not read, and the job is one without labels: pass labels.array"
    for name in names:
        note = f"array {name!r} {said} {name!r} where it holds them"
        assert note in splits.summary.notes
        assert paired(load(tmp_path, x=X, array=name, **dict.fromkeys(names, Y)))
        np.savez(tmp_path / "d.npz", x=X, mean=X[0], **dict.fromkeys(names, Y))
    assert "array 'mean' was not read" in splits.summary.notes


@pytest.mark.parametrize("part", ["test", "val"])
def test_what_belongs_to_no_part_is_to_train_on_beside_parts_of_its_own(tmp_path, part):
    more = {f"x_{part}": X[45:], f"y_{part}": Y[45:]}
    splits = load(tmp_path, x=X[:45], y=Y[:45], **more)
    assert splits.summary.split == "given"
    assert splits.given == ("train", part)
    named = splits.test if part == "test" else splits.validation
    np.testing.assert_array_equal(named.inputs["input"], X[45:])
    np.testing.assert_array_equal(named.labels, Y[45:])
    assert paired(splits)
    assert "array 'x' is read as the rows of 'train'" in splits.summary.notes


def test_parts_may_be_folders_of_names(tmp_path):
    arrays = {f"{part}/{name}": a for part in ("train", "test") for name, a in (("x", X), ("y", Y))}
    splits = load(tmp_path, **arrays)
    np.testing.assert_array_equal(splits.test.inputs["input"], X)


@pytest.mark.parametrize(
    ("inputs", "labels"),
    [
        ("x", "y"),
        ("X", "y"),
        ("X", "Y"),
        ("x", "labels"),
        ("images", "labels"),
        ("images", "masks"),
        ("data_x", "data_y"),
        ("x_train", "y_train"),
        ("train_images", "train_labels"),
        ("max_x", "max_y"),
        ("features", "targets"),
    ],
)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_labels_may_lie_beside_in_a_file_of_their_own(tmp_path, inputs, labels, kind):
    if kind == "npy":
        np.save(tmp_path / inputs, X)
    else:
        np.savez(tmp_path / inputs, x=X)
    np.save(tmp_path / labels, Y)
    splits = load_splits(tmp_path / f"{inputs}.{kind}", [ROWS], seed=0)
    assert paired(splits)


@pytest.mark.parametrize("name", ["y", "labels", "d_y", "d_labels"])
def test_labels_beside_an_archive_without_any(tmp_path, name):
    np.save(tmp_path / name, Y)
    splits = load(tmp_path, x=X)
    assert paired(splits)
    said = f"labels are read from '{name}.npy', which lies beside the file"
    assert said in splits.summary.notes
    np.save(tmp_path / name, Y[::-1])
    assert paired(load(tmp_path, x=X, y=Y))  # its own come first


def test_labels_of_other_rows_beside_an_archive_are_not_its_labels(tmp_path):
    np.save(tmp_path / "y", Y[:50])
    splits = load(tmp_path, x=X)
    assert splits.labels is None
    assert "'y.npy' lies beside the file, has not 60 rows, and was not read" in splits.summary.notes
    (tmp_path / "y.npy").write_bytes(b"no array")
    with pytest.raises(DatasetMismatch, match=r"'y\.npy' is not a whole array"):
        load(tmp_path, x=X)


@pytest.mark.parametrize("val", ["val", "valid", "dev"])
def test_parts_may_lie_in_files_of_their_own(tmp_path, val):
    for part, rows in (("train", slice(30)), (val, slice(30, 45)), ("test", slice(45, None))):
        np.save(tmp_path / f"x_{part}", X[rows])
        np.save(tmp_path / f"y_{part}", Y[rows])
    splits = load_splits(tmp_path / "x_train.npy", [ROWS], seed=0)
    assert paired(splits)
    for part, rows in zip(splits.parts, (X[:30], X[30:45], X[45:]), strict=True):
        np.testing.assert_array_equal(part.inputs["input"], rows)
    assert splits.given == ("train", "val", "test")


@pytest.mark.parametrize("option", ["array", "label"])
def test_an_array_that_is_asked_for_is_the_label_and_one_that_is_not_there_is_named(
    tmp_path, option
):
    path = tmp_path / "d.npz"
    np.savez(path, x=X, y=Y, other=Y + 1)
    splits = load_splits(path, [ROWS], seed=0, **{option: "other"})
    assert min(part.labels.min() for part in splits.parts) == Y.min() + 1
    with pytest.raises(DatasetMismatch, match="there is no array 'zz'") as refused:
        load_splits(path, [ROWS], seed=0, **{option: "zz"})
    assert refused.value.pointer == "#/labels/array"


def test_an_input_may_be_its_own_target(tmp_path):
    """An autoencoder's rows are what it is to answer."""
    np.savez(tmp_path / "d.npz", x=X)
    splits = load_splits(tmp_path / "d.npz", [ROWS], seed=0, array="x")
    for part in splits.parts:
        np.testing.assert_array_equal(part.labels, part.inputs[ROWS.name])


def test_no_name_is_no_file():
    with pytest.raises(DatasetMismatch, match="there is no data file ''"):
        load_splits("", [ROWS], seed=0)


def digests(*splits):
    return [one.summary.sha256 for one in splits]


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_other_labels_beside_the_same_file_are_another_data_set(tmp_path, kind):
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "x.npz", x=X)
    path = tmp_path / f"x.{kind}"
    np.save(tmp_path / "y", Y)
    first, same = load_splits(path, [ROWS], seed=0), load_splits(path, [ROWS], seed=0)
    np.save(tmp_path / "y", Y[::-1])
    other = load_splits(path, [ROWS], seed=0)
    one, again, another = digests(first, same, other)
    assert one == again != another
    assert hashlib.sha256(path.read_bytes()).hexdigest() not in {one, another}


def test_rows_of_another_part_beside_the_same_file_are_another_data_set(tmp_path):
    for part in ("train", "test"):
        np.save(tmp_path / f"x_{part}", X)
        np.save(tmp_path / f"y_{part}", Y)
    first = load_splits(tmp_path / "x_train.npy", [ROWS], seed=0)
    np.save(tmp_path / "x_test", X[::-1])
    second = load_splits(tmp_path / "x_train.npy", [ROWS], seed=0)
    assert first.summary.sha256 != second.summary.sha256


def test_labels_beside_that_are_not_read_do_not_change_the_data_set(tmp_path):
    first = load(tmp_path, x=X, y=Y)
    np.save(tmp_path / "y", Y[::-1])
    second = load_splits(tmp_path / "d.npz", [ROWS], seed=0)
    np.savez(tmp_path / "bare.npz", x=X)
    np.save(tmp_path / "y", Y[:50])
    bare = load_splits(tmp_path / "bare.npz", [ROWS], seed=0)
    for splits, name in ((first, "d.npz"), (second, "d.npz"), (bare, "bare.npz")):
        assert splits.summary.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
