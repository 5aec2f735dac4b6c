"""Images as people have them: in folders, archives and tables; decoded, turned, sized and laid out as said."""

import io
import struct
import tarfile
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spectral_engine.data import InputSpec, load_splits
from spectral_engine.data.images import container, decode, decoded
from spectral_engine.errors import DatasetMismatch, EngineError, InvalidRequest

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


def load(folder, files, spec=NCHW, pack=as_zip, **options):
    path = folder / "upload"  # names say nothing
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
    for actual, wanted in zip(together(splits), expected(files, **options), strict=True):
        if actual.dtype.kind == "f":
            np.testing.assert_allclose(actual, wanted, atol=1e-6)
        else:
            assert actual.tolist() == wanted.tolist()


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


class TestTables:
    def files(self, rows, *, header="filename,label", name="labels.csv", folder=""):
        images = {f"{folder}{n}.png": encoded(noise()) for n in range(20)}
        text = "\n".join([*([header] if header else []), *rows(images)])
        return images, {**images, name: text.encode()}

    @pytest.mark.parametrize("header", ["filename,label", "image_id,breed", "Path;Class", None])
    @pytest.mark.parametrize(
        "written", [str, lambda n: n.removesuffix(".png"), lambda n: f"/home/me/{n}"]
    )
    @pytest.mark.parametrize("folder", ["", "images/"])
    def test_labels_are_found_by_name(self, tmp_path, header, written, folder):
        sign = ";" if header and ";" in header else ","
        images, files = self.files(
            lambda images: [f"{written(n)}{sign}{'ab'[i % 2]}" for i, n in enumerate(images)],
            header=header,
            folder=folder,
        )
        splits = load(tmp_path, files)
        numbers = {name: "ab"[i % 2] for i, name in enumerate(images)}
        same(splits, images, label=numbers.get)
        assert "of 'labels.csv'" in notes(splits)

    def test_numbers_stay_numbers_and_a_column_may_be_asked_for(self, tmp_path):
        _, files = self.files(
            lambda images: [f"{n},{i % 2},{i / 2}" for i, n in enumerate(images)],
            header="file,age,size",
        )
        with pytest.raises(
            DatasetMismatch, match=r"which column of 'labels\.csv' holds the labels"
        ):
            load(tmp_path, files)
        assert load(tmp_path, files, label="age").labels.dtype == np.int64
        assert load(tmp_path, files, label="size").labels.max() == 9.5
        with pytest.raises(DatasetMismatch, match="no column 'sex'"):
            load(tmp_path, files, label="sex")

    def test_a_column_may_give_the_parts(self, tmp_path):
        def rows(images):
            parts = ["train"] * 10 + ["valid"] * 6 + ["test"] * 4
            return [f"{n},{'ab'[i % 2]},{parts[i]}" for i, n in enumerate(images)]

        _, files = self.files(rows, header="image,label,split")
        splits = load(tmp_path, files)
        assert [part.rows for part in splits.parts] == [10, 6, 4]

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ("none.png,a", "row 20 of 'labels.csv' names 'none.png', and there is no such image"),
            ("3.png,", "row 20 of 'labels.csv' has no label"),
            ("3.png,a", "row 20 of 'labels.csv' gives '3.png' the label 'a', and row 3 'b'"),
            (",a", "row 20 of 'labels.csv' names no image"),
        ],
    )
    def test_a_wrong_row_is_named(self, tmp_path, row, said):
        _, files = self.files(
            lambda images: [*(f"{n},{'ab'[i % 2]}" for i, n in enumerate(images)), row]
        )
        with pytest.raises(DatasetMismatch, match=said) as refused:
            load(tmp_path, files)
        assert refused.value.pointer == "#/file/labels.csv/20"

    def test_images_that_it_does_not_name_are_noted(self, tmp_path):
        _, files = self.files(
            lambda images: [f"{n},{'ab'[i % 2]}" for i, n in enumerate(images)][:15]
        )
        splits = load(tmp_path, files)
        assert sum(part.rows for part in splits.parts) == 15
        assert "5 images are not in the table, and not read: '15.png'" in notes(splits)

    def test_a_table_of_something_else_leaves_the_classes_to_the_folders(self, tmp_path):
        files = classes()
        sizes = "\n".join(["path,height,width", *(f"{name},8,8" for name in files)])
        splits = load(tmp_path, {**files, "sizes.csv": sizes.encode()})
        same(splits, files)
        assert "'sizes.csv'" in notes(splits)


class TestPixels:
    """What Pillow decodes by itself, without our code, is the oracle."""

    def one(self, tmp_path, content, spec=NCHW, **options):
        """Return the row of this image, which stands among others of its size."""
        files = {f"{c}/{n}": content for c in "ab" for n in ("1.png", "2.png", "3.png")}
        splits = load(tmp_path, files, spec, **options)
        return splits.train.inputs["input"][0], notes(splits)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_is_honoured(self, tmp_path, orientation):
        image = Image.fromarray(noise(8, 8))
        exif = image.getexif()
        exif[0x0112] = orientation
        row, said = self.one(tmp_path, encoded(image, exif=exif))
        pixels = np.asarray(image)
        upright = {
            1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1],
            5: pixels.swapaxes(0, 1), 6: np.rot90(pixels, -1), 7: np.rot90(pixels, 2).swapaxes(0, 1),
            8: np.rot90(pixels),
        }[orientation]  # fmt: skip
        np.testing.assert_allclose(row, upright.transpose(2, 0, 1) / 255, atol=1e-6)
        assert ("EXIF" in said) == (orientation > 1)

    @pytest.mark.parametrize("channels", [1, 3, 4])
    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
    def test_every_kind_of_image_becomes_what_the_model_takes(self, tmp_path, mode, channels):
        if mode == "I;16":
            values = RANDOM.integers(0, 65_536, (8, 8)).astype(np.uint16)
            image = Image.fromarray(values)
            eight = Image.fromarray(np.round(values / 257).astype(np.uint8))
        else:
            image = (
                Image.fromarray(noise(8, 8, 4), "RGBA")
                .convert("RGB" if mode == "CMYK" else "RGBA")
                .convert(mode)
            )
            eight = image
        spec = InputSpec("input", np.dtype(np.uint8), (None, channels, 8, 8))
        row, said = self.one(tmp_path, encoded(image, "TIFF"), spec)
        wanted = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        plain = eight.convert("RGB") if mode in {"P", "CMYK"} else eight
        pixels = np.asarray(plain.convert(wanted)).reshape(8, 8, channels)
        np.testing.assert_array_equal(row, pixels.transpose(2, 0, 1))
        for kind, word in {"P": "palette", "CMYK": "CMYK", "I;16": "16 bits"}.items():
            assert (word in said) == (mode == kind)
        assert ("transparency is left out" in said) == (mode in {"LA", "RGBA"} and channels < 4)

    @pytest.mark.parametrize(
        ("shape", "layout"),
        [
            ((None, 3, 8, 8), (2, 0, 1)),
            ((None, 8, 8, 3), (0, 1, 2)),
            ((None, None, None, 3), (0, 1, 2)),
        ],
    )
    @pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8", "int64"])
    def test_layout_and_type_are_the_models(self, tmp_path, shape, layout, dtype):
        pixels = noise()
        row, _ = self.one(tmp_path, encoded(pixels), InputSpec("input", np.dtype(dtype), shape))
        assert row.dtype == dtype
        unit = 255 if row.dtype.kind == "f" else 1
        np.testing.assert_allclose(row, (pixels / unit).transpose(layout), atol=1e-3)

    def test_torchvisions_usual_pipeline_gives_the_same_numbers(self, tmp_path):
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        image = Image.fromarray(noise(21, 33))
        row, said = self.one(
            tmp_path,
            encoded(image),
            preprocessing={"resize": 10, "crop": 8, "mean": mean, "std": std},
        )
        resized = image.resize((int(10 * 33 / 21), 10), Image.Resampling.BILINEAR)
        left = round((resized.width - 8) / 2)
        pixels = np.asarray(resized)[1:9, left : left + 8] / 255
        np.testing.assert_allclose(row, ((pixels - mean) / std).transpose(2, 0, 1), atol=1e-5)
        assert "0.229" in said

    def test_else_images_are_stretched_to_the_models_size_and_that_is_said(self, tmp_path):
        image = Image.fromarray(noise(21, 33))
        row, said = self.one(tmp_path, encoded(image))
        pixels = np.asarray(image.resize((8, 8), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(row, pixels.transpose(2, 0, 1) / 255, atol=1e-6)
        assert "6 of 6 images: resized to the model's height and width" in said

    @pytest.mark.parametrize(
        ("preprocessing", "factor"),
        [({"scale": 1.0}, 1), ({"scale": 1 / 255}, 1 / 255), ({}, 1 / 255)],
    )
    def test_a_scale_is_multiplied_with_bytes(self, tmp_path, preprocessing, factor):
        pixels = noise()
        row, _ = self.one(tmp_path, encoded(pixels), preprocessing=preprocessing)
        np.testing.assert_allclose(row, pixels.transpose(2, 0, 1) * factor, rtol=1e-6)

    def test_flat_rows_are_made_of_grey_images_and_of_others_in_the_order_that_is_said(
        self, tmp_path
    ):
        grey, colour = noise(channels=1), noise()
        row, _ = self.one(
            tmp_path, encoded(grey), InputSpec("input", np.dtype(np.float32), (None, 64))
        )
        np.testing.assert_allclose(row, grey.ravel() / 255, atol=1e-6)
        spec = InputSpec("input", np.dtype(np.float32), (None, 192))
        with pytest.raises(DatasetMismatch, match="order of pixels and channels"):
            self.one(tmp_path, encoded(colour), spec)
        row, _ = self.one(tmp_path, encoded(colour), spec, preprocessing={"layout": "nchw"})
        np.testing.assert_allclose(row, colour.transpose(2, 0, 1).ravel() / 255, atol=1e-6)

    @pytest.mark.parametrize(
        ("shape", "preprocessing", "said"),
        [
            ((None, 3, None, None), {}, r'needed: pass preprocessing {"resize": \[8, 9\]}'),
            ((None, 3, 8, 8), {"resize": 8}, r'"crop": \[8, 8\]'),
            ((None, 3, 8, 8), {"crop": 8, "resize": [4, 4]}, "smaller than the crop"),
            ((None, 3, 8, 8), {"mean": [1, 2]}, "mean has 2 values"),
            ((None, 3, 8, 8), {"std": 0}, "std must be finite and not 0"),
            ((None, 3, 8, 8), {"resize": 0}, "greater than or equal to 1"),
            ((None, 5, 8, 8), {"layout": "nchw"}, "1, 3 or 4 channels, not 5"),
            ((None, 3, 8, 3), {}, '"layout": "nhwc"'),
            ((None, 50), {}, "do not make 50 values"),
            ((None, 2, 3, 8, 8), {}, "height, width and channels"),
        ],
    )
    def test_what_does_not_fit_is_refused_with_the_remedy(
        self, tmp_path, shape, preprocessing, said
    ):
        files = {f"{c}/{n}.png": encoded(noise(8, 9 + (n == 3))) for c in "ab" for n in range(4)}
        with pytest.raises(EngineError, match=said) as refused:
            load(
                tmp_path,
                files,
                InputSpec("input", np.dtype(np.float32), shape),
                preprocessing=preprocessing,
            )
        assert isinstance(refused.value, DatasetMismatch | InvalidRequest)
        assert refused.value.pointer

    def test_large_sets_lie_on_disk(self, tmp_path, monkeypatch):
        files = classes()
        plain = load(tmp_path, files)
        monkeypatch.setattr(decoded, "IN_MEMORY_BYTES", 1000)
        mapped = load(tmp_path, files)
        for one, other in zip(plain.parts, mapped.parts, strict=True):
            assert isinstance(other.inputs["input"], np.memmap)
            np.testing.assert_array_equal(one.inputs["input"], other.inputs["input"])
        monkeypatch.setenv("EIGENPRESS_MAX_DATASET_BYTES", "2000")
        with pytest.raises(DatasetMismatch, match="at most 2,000 are allowed"):
            load(tmp_path, files)


class TestRefused:
    def test_broken_images_are_named_and_counted(self, tmp_path):
        files = classes()
        files["ants/3.png"] = files["ants/3.png"][:60]
        files["dogs/1.png"] = b"no image at all"
        files["cats/0.png"] = b""
        with pytest.raises(DatasetMismatch, match=r"3 of 30 images cannot be used") as refused:
            load(tmp_path, files)
        assert "ants/3.png: cannot be decoded" in refused.value.detail
        assert refused.value.pointer == "#/file/ants~13.png"

    @pytest.mark.parametrize(
        ("files", "said"),
        [
            ({}, "no arrays"),
            ({"README.txt": b"hello"}, "without arrays or images"),
            (
                {f"{part}/cats/{n}.png": b"1" for part in ("train", "test") for n in "12"},
                "all images lie in the folder 'cats'",
            ),
            ({"1.png": b"1", "labels.csv": b"a,b\nc,d\n"}, "which column of 'labels.csv' holds"),
            ({"../x.png": b"1"}, "'../x.png', which leads out of it"),
            ({"a/../../x.png": b"1"}, "leads out of it"),
            ({"/etc/x.png": b"1"}, "'/etc/x.png', an absolute path"),
            ({"C:\\x.png": b"1"}, "an absolute path"),
        ],
    )
    def test_what_cannot_be_a_data_set_is_refused_by_name(self, tmp_path, files, said):
        with pytest.raises(DatasetMismatch, match=said.replace("\\", "\\\\")):
            load(tmp_path, files)

    def test_an_empty_folder_and_one_without_images(self, tmp_path):
        (tmp_path / "upload").mkdir()
        with pytest.raises(DatasetMismatch, match="there are no images: give one folder per class"):
            load_splits(tmp_path / "upload", [NCHW], seed=0)
        (tmp_path / "upload" / "a.txt").write_text("a")
        with pytest.raises(DatasetMismatch, match=r"no images; it holds 'a\.txt'"):
            load_splits(tmp_path / "upload", [NCHW], seed=0)

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
    def test_links_and_devices_in_a_tar(self, tmp_path, kind):
        with tarfile.open(tmp_path / "d", "w") as archive:
            info = tarfile.TarInfo("cats/1.png")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        with pytest.raises(
            DatasetMismatch, match=r"'cats/1\.png', which is (a link|no plain file)"
        ):
            load_splits(tmp_path / "d", [NCHW], seed=0)

    def test_a_link_in_a_zip(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "d", "w") as archive:
            info = zipfile.ZipInfo("cats/1.png")
            info.external_attr = 0o120777 << 16
            archive.writestr(info, "/etc/passwd")
        with pytest.raises(DatasetMismatch, match=r"'cats/1\.png', which is a link"):
            load_splits(tmp_path / "d", [NCHW], seed=0)

    @pytest.mark.parametrize("pack", [as_zip, as_tar, as_folder])
    def test_what_expands_beyond_the_limits(self, tmp_path, pack, monkeypatch):
        monkeypatch.setenv("EIGENPRESS_MAX_DATASET_BYTES", "1000")
        with pytest.raises(DatasetMismatch, match=r"with '.*\.png' the data take .* at most 1,000"):
            load(tmp_path, classes(), pack=pack)
        monkeypatch.setenv("EIGENPRESS_MAX_DATASET_BYTES", "1000000")
        monkeypatch.setattr(container, "MOST_MEMBER_BYTES", 100)
        with pytest.raises(DatasetMismatch, match=r"ants/0\.png: holds .* bytes; at most 100"):
            load(tmp_path, classes(), pack=pack)

    def test_a_decompression_bomb(self, tmp_path, monkeypatch):
        for side in (10_000, 20_000):  # beyond the limit, and beyond what Pillow opens at all
            bomb = bytearray(encoded(noise()))
            struct.pack_into(">II", bomb, 16, side, side)
            struct.pack_into(">I", bomb, 29, zlib.crc32(bomb[12:29]))
            with pytest.raises(DatasetMismatch, match=r"cats/bomb\.png: has too many pixels"):
                load(tmp_path, classes() | {"cats/bomb.png": bytes(bomb)})
        monkeypatch.setattr(decode, "MOST_PIXELS", 63)
        with pytest.raises(DatasetMismatch, match=r"64, at most 63 are allowed.*30 of 30 images"):
            load(tmp_path, classes())

    def test_images_for_a_model_of_two_inputs_and_sizes_for_arrays(self, tmp_path):
        as_zip(tmp_path / "d", classes())
        with pytest.raises(DatasetMismatch, match="one input, and the model has 2"):
            load_splits(tmp_path / "d", [NCHW, NCHW], seed=0)
        np.savez(tmp_path / "d.npz", x=np.zeros((20, 3, 8, 8)), y=np.arange(20) % 2)
        with pytest.raises(InvalidRequest, match="resize is for images") as refused:
            load_splits(tmp_path / "d.npz", [NCHW], seed=0, preprocessing={"resize": 8})
        assert refused.value.pointer == "#/preprocessing/resize"

    def test_a_program_that_calls_itself_an_image_is_not_run(self, tmp_path):
        script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n"
        with pytest.raises(DatasetMismatch, match=r"cats/x\.png: cannot be decoded"):
            load(tmp_path, classes() | {"cats/x.png": script})


FORMS = {
    "PNG": {},
    "JPEG": {},
    "GIF": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {},
    "BMP": {},
}


@settings(max_examples=100, deadline=None)
@given(
    pack=st.sampled_from([as_zip, as_tar, tar_gz]),
    form=st.sampled_from([*FORMS]),
    at=st.floats(0, 1),
    put=st.binary(max_size=8),
    cut=st.booleans(),
)
def test_a_damaged_archive_or_image_is_read_or_refused_and_never_a_traceback(
    tmp_path_factory, pack, form, at, put, cut
):
    path = tmp_path_factory.mktemp("fuzz") / "d"
    files = {f"{c}/{n}.png": encoded(noise(), form, **FORMS[form]) for c in "ab" for n in range(3)}
    pack(path, files | {"labels.csv": b"a/0.png,x\n"})
    content = bytearray(path.read_bytes())
    start = int(at * len(content))
    content[start : len(content) if cut else start + len(put)] = put
    path.write_bytes(bytes(content))
    with suppress(EngineError):  # and nothing else
        load_splits(path, [NCHW], seed=0)
