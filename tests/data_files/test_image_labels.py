"""Images whose labels stand in less usual places, or nowhere."""

import numpy as np
import pytest

from spectral_engine.data import load_splits
from spectral_engine.errors import DatasetMismatch
from tests.data_files.test_images import (
    NCHW,
    PACKS,
    classes,
    encoded,
    expected,
    load,
    noise,
    notes,
    same,
)

KINDS = np.array(["cat", "dog", "emu"])


def test_parts_may_lie_in_the_folders_of_classes(tmp_path):
    parts = {"train": classes(6), "Valid": classes(3), "test": classes(2)}
    files = {
        name.replace("/", f"/{part}/"): content
        for part, class_files in parts.items()
        for name, content in class_files.items()
    }
    splits = load(tmp_path, files)
    assert splits.summary.split == "given"
    assert [part.rows for part in splits.parts] == [18, 9, 6]
    same(splits, files)
    images, labels = expected(parts["test"])
    order = np.lexsort(splits.test.inputs["input"].reshape(6, -1).T[:16])
    np.testing.assert_allclose(splits.test.inputs["input"][order], images, atol=1e-6)
    assert splits.test.labels[order].tolist() == labels.tolist()
    assert "the folders in those of the classes are the parts" in notes(splits)


def test_folders_in_those_of_classes_are_no_parts_where_some_are_called_otherwise(tmp_path):
    folders = [f"{name}/{part}" for name in KINDS for part in ("train", "more")]
    files = {f"{folder}/{n}.png": encoded(noise()) for folder in folders for n in range(9)}
    splits = load(tmp_path, files)
    assert splits.summary.split == "random"
    same(splits, files)


def listed(rows, header, count=30, name="{:04}.png"):
    """Return images by number, and with a table of them."""
    images = {name.format(n): encoded(noise()) for n in range(count)}
    text = "\n".join([header, *(rows(n) for n in range(count))])
    return images, {**images, "labels.csv": text.encode()}


@pytest.mark.parametrize("header", ["id,label", "image_id,breed"])
@pytest.mark.parametrize("label", [lambda n: KINDS[n % 3], lambda n: str(n % 3)])
@pytest.mark.parametrize("first", [True, False])
def test_a_number_names_the_image_that_is_called_by_it(tmp_path, header, label, first):
    header = header if first else ",".join(reversed(header.split(",")))
    images, files = listed(lambda n: f"{n},{label(n)}" if first else f"{label(n)},{n}", header)
    splits = load(tmp_path, files)
    same(splits, images, label=lambda name: type(splits.labels[0])(label(int(name[:4]))))


def test_a_number_of_two_images_is_refused_by_both(tmp_path):
    _, files = listed(lambda n: f"{n},{KINDS[n % 3]}", "id,label")
    with pytest.raises(DatasetMismatch, match=r"names '7', which may be '0007.png', '007.png'"):
        load(tmp_path, {**files, "007.png": encoded(noise())})


@pytest.mark.parametrize("one", ["1", "1.0", "True"])
def test_one_column_for_each_class(tmp_path, one):
    none = {"1": "0", "1.0": "0.0", "True": "False"}[one]
    images, files = listed(
        lambda n: f"{n:04}.png," + ",".join(one if n % 3 == k else none for k in range(3)),
        "filename," + ",".join(KINDS),
    )
    splits = load(tmp_path, files)
    same(splits, images, label=lambda name: str(KINDS[int(name[:4]) % 3]))
    assert splits.summary.label == "cat, dog, emu"
    assert "labels are column 'cat, dog, emu' of 'labels.csv'" in notes(splits)


def test_columns_of_which_several_hold_ones_are_not_one_class(tmp_path):
    _, files = listed(lambda n: f"{n:04}.png,1,{n % 2},0", "filename,cat,dog,emu")
    with pytest.raises(DatasetMismatch, match=r"which column of 'labels\.csv' holds the labels"):
        load(tmp_path, files)


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS.keys())
@pytest.mark.parametrize("top", ["", "images/", "a/b/"])
def test_images_alone_are_a_job_without_labels(tmp_path, pack, top):
    images = {f"{top}{n}.png": encoded(noise()) for n in range(30)}
    splits = load(tmp_path, {**images, f"{top}README.md": b"?"}, pack=pack)
    assert splits.labels is None
    assert sum(part.rows for part in splits.parts) == 30
    rows = np.concatenate([part.inputs["input"] for part in splits.parts])
    order = np.lexsort(rows.reshape(30, -1).T[:16])
    np.testing.assert_allclose(rows[order], expected(images)[0], atol=1e-6)
    assert "the images have no labels: folders of several classes" in notes(splits)
    with pytest.raises(DatasetMismatch, match="no table beside the images has the column 'kind'"):
        load_splits(tmp_path / "upload", [NCHW], seed=0, label="kind")


@pytest.mark.parametrize("sign", [" ", "\t", ","])
def test_a_text_may_list_names_and_labels(tmp_path, sign):
    images = {f"{n:04}.png": encoded(noise()) for n in range(30)}
    text = "\n".join(f"{name}{sign}{n % 3}" for n, name in enumerate(images))
    splits = load(tmp_path, {**images, "val.txt": text.encode(), "README.txt": b"Some images."})
    same(splits, images, label=lambda name: int(name[:4]) % 3)


@pytest.mark.parametrize("name", ["labels.json", "annotations.xml", "classes.npy"])
def test_images_beside_a_file_that_may_hold_labels_are_refused_with_the_remedy(tmp_path, name):
    images = {f"{n}.png": encoded(noise()) for n in range(30)}
    with pytest.raises(DatasetMismatch, match=f"'{name}' may hold the labels.*CSV") as refused:
        load(tmp_path, {**images, name: b"{}"})
    assert refused.value.pointer == f"#/file/{name}"


def test_names_are_found_whatever_their_case(tmp_path):
    images, files = listed(
        lambda n: f"IMAGE_{n:04}.PNG,{KINDS[n % 3]}", "file,label", name="image_{:04}.png"
    )
    same(load(tmp_path, files), images, label=lambda name: str(KINDS[int(name[6:10]) % 3]))
