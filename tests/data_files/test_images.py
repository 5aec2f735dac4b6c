"""Images as people have them: in folders, archives and tables; decoded, turned, sized and laid out as said."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from spectral_engine.data import InputSpec, load_splits
from spectral_engine.errors import DatasetMismatch

RANDOM = np.random.default_rng(0)
NCHW = InputSpec("input", np.dtype(np.float32), (None, 3, 8, 8))
COLOURS = {"cats": (200, 30, 30), "dogs": (30, 200, 30), "ants": (30, 30, 200)}


def encoded(pixels, form="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(height=8, width=8, channels=3) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def classes(each=10, **size) -> dict[str, bytes]:
    return {f"{name}/{n}.png": encoded(noise(**size)) for name in COLOURS for n in range(each)}


def as_zip(path, files) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def as_tar(path, files, mode="w") -> None:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def as_folder(path, files) -> None:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)


def load(place, files, spec=NCHW, pack=as_zip, **options):
    path = place / "upload"  # names say nothing
    pack(path, files)
    return load_splits(path, [spec], seed=0, **options)


def together(splits):
    """Return images and labels of all parts, in an order that the images alone decide."""
    images = np.concatenate([part.inputs["input"] for part in splits.parts])
    order = np.lexsort(images.reshape(len(images), -1).T[:16])
    return images[order], splits.labels[order]


def expected(files, label=lambda name: name.split("/")[0]):
    """Return what Pillow and numpy make of the images, in the same order."""
    images = np.stack(
        [np.asarray(Image.open(io.BytesIO(c)).convert("RGB")) for c in files.values()]
    )
    images = images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    order = np.lexsort(images.reshape(len(images), -1).T[:16])
    return images[order], np.asarray([label(name) for name in files])[order]


def same(splits, files, **options) -> None:
    for found, wanted in zip(together(splits), expected(files, **options), strict=True):
        if found.dtype.kind == "f":
            np.testing.assert_allclose(found, wanted, atol=1e-6)
        else:
            assert found.tolist() == wanted.tolist()


def notes(splits) -> str:
    return "\n".join(splits.summary.notes)


def tar_gz(path, files):
    as_tar(path, files, "w:gz")


PACKS = {"folder": as_folder, "zip": as_zip, "tar": as_tar, "tar.gz": tar_gz}


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS.keys())
@pytest.mark.parametrize("top", ["", "data/", "a/b/"])
def test_folders_of_classes_are_read_from_all_that_can_hold_them(tmp_path, pack, top):
    files = classes()
    splits = load(tmp_path, {top + name: content for name, content in files.items()}, pack=pack)
    same(splits, files)
    assert splits.summary.split == "random"
    assert set(splits.train.labels) == set(splits.test.labels) == set(COLOURS)


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_parts_are_taken_as_they_are_given(tmp_path, val):
    parts = {"train": classes(6), val: classes(3), "test": classes(2)}
    files = {f"top/{p}/{name}": c for p, part in parts.items() for name, c in part.items()}
    splits = load(tmp_path, files)
    assert splits.summary.split == "given"
    assert [part.rows for part in splits.parts] == [18, 9, 6]
    images, labels = expected(parts[val])
    order = np.lexsort(splits.validation.inputs["input"].reshape(9, -1).T[:16])
    np.testing.assert_allclose(splits.validation.inputs["input"][order], images, atol=1e-6)
    assert splits.validation.labels[order].tolist() == labels.tolist()


def test_a_part_that_is_missing_is_cut_from_the_training_images(tmp_path):
    files = {f"{part}/{name}": c for part in ("train", "test") for name, c in classes(9).items()}
    splits = load(tmp_path, files)
    assert splits.test.rows == 27
    assert splits.train.rows + splits.validation.rows == 27
    with pytest.raises(DatasetMismatch, match="test, val, and no train"):
        load(tmp_path, {name.replace("train", "val"): c for name, c in files.items()})


def test_train_is_a_class_where_images_lie_in_it(tmp_path):
    files = {name.replace("cats", "train"): c for name, c in classes().items()}
    assert set(load(tmp_path, files).labels) == {"train", "dogs", "ants"}


def test_what_nobody_means_is_ignored_with_a_note(tmp_path):
    files = classes()
    odd = ["__MACOSX/cats/._1.png", "cats/.DS_Store", "dogs/Thumbs.db", ".git/x.png", "README.txt"]
    splits = load(tmp_path, files | dict.fromkeys(odd, b"?") | {"birds/": b""})
    same(splits, files)
    for said in ("__MACOSX/cats/._1.png", "'README.txt'", "folders without images: 'birds'"):
        assert said in notes(splits)
