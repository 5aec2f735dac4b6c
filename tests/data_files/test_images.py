"""Images as people have them: folders of classes, archives, tables of names, every kind of image file."""

import io
import tarfile
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spectral_engine.data import InputSpec, load_splits
from spectral_engine.errors import DatasetMismatch, EngineError

FIRST = InputSpec("input", np.dtype(np.float32), (None, 3, 8, 8))  # channels first
LAST = InputSpec("input", np.dtype(np.float32), (None, 8, 8, 3))
GREY = InputSpec("input", np.dtype(np.float32), (None, 1, 8, 8))
BYTES = InputSpec("input", np.dtype(np.uint8), (None, 8, 8, 3))
FREE = InputSpec("input", np.dtype(np.float32), (None, 3, None, None))
RANDOM = np.random.default_rng(0)
CLASSES = ("cat", "dog")


def pixels(size=(8, 8)):
    return RANDOM.integers(0, 256, (*size, 3), dtype=np.uint8)


def encoded(array, kind="PNG", mode=None, **options):
    image, held = Image.fromarray(array), io.BytesIO()
    (image.convert(mode) if mode else image).save(held, kind, **options)
    return held.getvalue()


def pictures(count=20, folder="{label}/{i:02}.png"):
    """Return files by name, and pixels by label."""
    files, shown = {}, {name: [] for name in CLASSES}
    for i in range(count):
        label = CLASSES[i % 2]
        shown[label].append(pixels())
        files[folder.format(label=label, i=i)] = encoded(shown[label][-1])
    return files, shown


def put(files, path, how="folder"):
    if how == "folder":
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        return path
    place = path / "data"
    if how == "zip":
        with zipfile.ZipFile(place, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return place
    with tarfile.open(place, "w:gz" if how == "tar.gz" else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return place


def load(path, spec=FIRST, **more):
    return load_splits(path, [spec], seed=0, **more)


def rows_of(splits, name="input"):
    """All rows as (pixels, label), in no order."""
    return {
        (row.tobytes(), str(label))
        for part in splits.parts
        for row, label in zip(part.inputs[name], part.labels, strict=True)
    }


def expected(shown, order=(2, 0, 1)):
    return {
        ((image.astype(np.float32) * np.float32(1 / 255)).transpose(order).tobytes(), label)
        for label, images in shown.items()
        for image in images
    }


@pytest.mark.parametrize("how", ["folder", "zip", "tar", "tar.gz"])
@pytest.mark.parametrize("folder", ["{label}/{i:02}.png", "shapes/v1/{label}/{i:02}.PNG"])
def test_one_folder_per_class(tmp_path, how, folder):
    files, shown = pictures(folder=folder)
    splits = load(put(files, tmp_path, how))
    assert rows_of(splits) == expected(shown)
    assert splits.summary.split == "random"


def test_the_layout_is_the_models(tmp_path):
    files, shown = pictures()
    assert rows_of(load(put(files, tmp_path), LAST)) == expected(shown, (0, 1, 2))


def test_a_model_of_bytes_gets_bytes(tmp_path):
    files, shown = pictures()
    found = rows_of(load(put(files, tmp_path, "zip"), BYTES))
    assert found == {(image.tobytes(), name) for name, images in shown.items() for image in images}


def test_folders_of_parts_are_kept(tmp_path):
    files = {}
    for part, count in (("train", 12), ("valid", 6), ("test", 8)):
        found, _ = pictures(count, part + "/{label}/{i}.png")
        files |= found
    splits = load(put(files, tmp_path))
    assert [part.rows for part in splits.parts] == [12, 6, 8]
    assert splits.summary.split == "given"


@pytest.mark.parametrize("header", ["filename,label\n", "", "image_id;species\n"])
@pytest.mark.parametrize("ending", [True, False])
def test_a_table_beside_the_images_names_their_labels(tmp_path, header, ending):
    files, shown = pictures(folder="images/{label}{i:02}.png")
    separator = ";" if ";" in header else ","
    lines = [f"{name.split('/')[1]}{separator}{name.split('/')[1][:3]}" for name in files]
    lines = lines if ending else [line.replace(".png", "") for line in lines]
    files["images/extra.png"] = encoded(pixels())
    files["labels.csv"] = (header + "\n".join(lines) + "\n").encode()
    splits = load(put(files, tmp_path, "zip"))
    assert rows_of(splits) == expected(shown)
    assert any("labels.csv" in note for note in splits.summary.notes)
    assert any("images/extra.png stands in no table" in note for note in splits.summary.notes)


def test_images_without_folders_or_table_have_no_labels(tmp_path):
    files, _ = pictures(folder="all/{label}{i}.png")
    assert load(put(files, tmp_path)).train.labels is None


def test_what_systems_leave_behind_is_not_read_and_other_files_are_noted(tmp_path):
    files, shown = pictures()
    files |= {
        "__MACOSX/cat/._00.png": b"x",
        "cat/.DS_Store": b"x",
        "dog/Thumbs.db": b"x",
        "LICENSE": b"free",
    }
    splits = load(put(files, tmp_path, "zip"))
    assert rows_of(splits) == expected(shown)
    assert "LICENSE was not read" in splits.summary.notes


def test_a_turned_photograph_is_turned_back(tmp_path):
    upright = Image.fromarray(np.kron(pixels((2, 2)), np.ones((8, 8, 1), np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned right by 90 degrees
    lying, held = upright.transpose(Image.Transpose.ROTATE_90), io.BytesIO()
    lying.save(held, "JPEG", quality=100, subsampling=0, exif=exif)
    files = {f"{name}/{i}.jpg": held.getvalue() for name in CLASSES for i in range(4)}
    row = load(put(files, tmp_path), InputSpec("input", np.dtype(np.float32), (None, 3, 16, 16)))
    found = row.train.inputs["input"][0].transpose(1, 2, 0)
    assert np.abs(found - np.asarray(upright) / 255).max() < 0.05


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "P"),
        ("PNG", "RGBA"),
        ("PNG", "L"),
        ("PNG", "1"),
        ("GIF", None),
        ("BMP", None),
        ("TIFF", "CMYK"),
        ("WEBP", None),
    ],
)
@pytest.mark.parametrize("spec", [FIRST, GREY])
def test_every_kind_of_image_becomes_the_models_channels(tmp_path, kind, mode, spec):
    array = np.repeat(pixels()[:, :, :1], 3, axis=2)  # grey: the same in every mode
    content = encoded(array, kind, mode, **({"lossless": True} if kind == "WEBP" else {}))
    files = {f"{name}/{i}.{kind.lower()}": content for name in CLASSES for i in range(4)}
    splits = load(put(files, tmp_path), spec)
    wanted = np.asarray(Image.open(io.BytesIO(content)).convert("RGB" if spec is FIRST else "L"))
    wanted = wanted.reshape(8, 8, -1).transpose(2, 0, 1)
    assert np.allclose(splits.train.inputs["input"][0], wanted / 255, atol=1e-6)


def test_sixteen_bits_become_eight(tmp_path):
    deep = (np.arange(64).reshape(8, 8) * 1000).astype(np.uint16)
    held = io.BytesIO()
    Image.fromarray(deep).save(held, "PNG")
    files = {f"{name}/{i}.png": held.getvalue() for name in CLASSES for i in range(4)}
    splits = load(put(files, tmp_path), GREY)
    assert np.allclose(splits.train.inputs["input"][0, 0] * 255, deep // 256, atol=1e-3)
    assert any("converted" in note for note in splits.summary.notes)


@pytest.mark.parametrize(
    ("preprocessing", "shape"),
    [
        ({}, (8, 8)),
        ({"resize": [8, 8]}, (8, 8)),
        ({"resize": 8, "crop": 8}, (8, 8)),
        ({"crop": [8, 8]}, (20, 8)),
    ],
)
def test_other_sizes_are_scaled_as_the_preprocessing_says(tmp_path, preprocessing, shape):
    image = Image.fromarray(
        np.kron(pixels((5, 3)), np.ones((4, 4, 1), np.uint8))
    )  # 20 high, 12 wide
    held = io.BytesIO()
    image.save(held, "PNG")
    files = {f"{name}/{i}.png": held.getvalue() for name in CLASSES for i in range(4)}
    found = load(put(files, tmp_path), preprocessing=preprocessing or None)
    wanted = {
        (): lambda: image.resize((8, 8), Image.Resampling.BILINEAR),
        ("resize",): lambda: image.resize((8, 8), Image.Resampling.BILINEAR),
        ("resize", "crop"): lambda: image.resize((8, 13), Image.Resampling.BILINEAR).crop(
            (0, 2, 8, 10)
        ),
        ("crop",): lambda: image.crop((2, 6, 10, 14)),
    }[tuple(preprocessing)]()
    assert np.allclose(
        found.train.inputs["input"][0].transpose(1, 2, 0), np.asarray(wanted) / 255, atol=1e-6
    )


def test_mean_and_deviation_are_those_of_channels_and_bgr_turns_them(tmp_path):
    files, _ = pictures(8)
    said = {"scale": 1.0, "mean": [1.0, 2.0, 3.0], "std": [2.0, 2.0, 4.0], "channels": "bgr"}
    found = load(put({k: files[k] for k in files}, tmp_path), preprocessing=said)
    values = {row.tobytes() for part in found.parts for row in part.inputs["input"]}
    image = np.asarray(Image.open(io.BytesIO(files["cat/00.png"])), np.float32)[:, :, ::-1]
    wanted = ((image - np.float32([1, 2, 3])) / np.float32([2, 2, 4])).transpose(2, 0, 1)
    assert np.ascontiguousarray(wanted).tobytes() in values


class TestRefusals:
    """Each names the file or the line, and what to do."""

    def refused(self, files, tmp_path, said, spec=FIRST, how="zip", **more):
        with pytest.raises(DatasetMismatch, match=said) as caught:
            load(put(files, tmp_path, how), spec, **more)
        assert caught.value.detail.isprintable()

    def test_a_broken_image_by_name(self, tmp_path):
        files, _ = pictures()
        files["cat/02.png"] = files["cat/02.png"][:60]
        self.refused(files, tmp_path, r"cat/02\.png cannot be read: it is not a whole image")

    def test_a_text_that_is_called_an_image(self, tmp_path):
        files, _ = pictures()
        self.refused(files | {"cat/note.jpg": b"hello"}, tmp_path, r"cat/note\.jpg cannot be read")

    def test_an_image_that_declares_more_pixels_than_are_read(self, tmp_path):
        files, _ = pictures()
        huge = bytearray(encoded(pixels(), "BMP"))
        huge[18:26] = (60_000).to_bytes(4, "little") + (60_000).to_bytes(4, "little")
        self.refused(files | {"cat/huge.bmp": bytes(huge)}, tmp_path, r"cat/huge\.bmp")

    def test_images_outside_of_the_folders(self, tmp_path):
        files, _ = pictures()
        self.refused(files | {"loose.png": encoded(pixels())}, tmp_path, r"loose\.png lies outside")

    def test_a_line_that_names_no_image(self, tmp_path):
        files, _ = pictures(folder="{label}{i:02}.png")
        lines = (
            "file,kind\n" + "\n".join(f"{name},{name[:3]}" for name in files) + "\nnone.png,cat\n"
        )
        self.refused(
            files | {"l.csv": lines.encode()},
            tmp_path,
            r"line 22 of l\.csv names 'none\.png', and no image",
        )

    def test_a_table_whose_label_may_be_two_columns(self, tmp_path):
        files, _ = pictures(folder="{label}{i:02}.png")
        lines = "file,kind,age\n" + "\n".join(f"{name},{name[:3]},3" for name in files)
        self.refused(files | {"l.csv": lines.encode()}, tmp_path, "say which holds the labels")
        assert load(tmp_path / "data", label="kind").summary.notes

    def test_images_of_several_sizes_for_a_model_of_any_size(self, tmp_path):
        files, _ = pictures()
        files["cat/00.png"] = encoded(pixels((9, 8)))
        self.refused(files, tmp_path, r'pass preprocessing \{"resize"', FREE)
        assert load(tmp_path / "data", FREE, preprocessing={"resize": [8, 8]}).train.rows

    def test_a_resize_that_leaves_another_size(self, tmp_path):
        files = {f"{c}/{i}.png": encoded(pixels((8, 16))) for c in CLASSES for i in range(4)}
        self.refused(files, tmp_path, "add a crop", preprocessing={"resize": 8})

    def test_a_name_that_leads_out_of_the_archive(self, tmp_path):
        files, _ = pictures()
        self.refused(
            files | {"../evil.png": encoded(pixels())}, tmp_path, "leads out of the archive"
        )

    def test_a_model_that_takes_no_images(self, tmp_path):
        files, _ = pictures()
        rows = InputSpec("input", np.dtype(np.float32), (None, 6))
        self.refused(files, tmp_path, "no image of 1, 3 or 4 channels", rows)

    def test_an_archive_without_images(self, tmp_path):
        self.refused({"a.txt": b"x"}, tmp_path, "without arrays or images")
        self.refused({"a.txt": b"x"}, tmp_path, "without arrays or images", how="tar")

    def test_a_folder_without_images(self, tmp_path):
        self.refused({"a.txt": b"x"}, tmp_path, "a folder without arrays or images", how="folder")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["zip", "tar"]),
    st.floats(0, 1),
    st.binary(min_size=1, max_size=8),
    st.booleans(),
)
def test_a_damaged_archive_is_read_or_refused_and_never_a_traceback(
    tmp_path_factory, how, at, bytes_, cut
):
    files, _ = pictures(8)
    path = put(files, tmp_path_factory.mktemp("fuzz"), how)
    content = bytearray(path.read_bytes())
    place = int(at * (len(content) - 1))
    content[place : place + len(bytes_)] = b"" if cut else bytes_
    path.write_bytes(bytes(content[:place] if cut else content))
    with suppress(EngineError):  # and nothing else
        load(path)
