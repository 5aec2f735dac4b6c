"""Shards as WebDataset lays them out: one sample after another, read in the order of the archives' names."""

import io
import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from spectral_engine.data import InputSpec, load_splits
from spectral_engine.data import split as split_module
from spectral_engine.data.images import decoded
from spectral_engine.data.images.on_demand import DecodedOnDemand
from spectral_engine.data.shards import index
from spectral_engine.errors import DatasetMismatch
from spectral_engine.training.feed import Feed

SPEC = InputSpec("input", np.dtype(np.float32), (None, 3, 8, 8))
TABLE = InputSpec("x", np.dtype(np.float32), (None, 5))
PIXELS = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)
WANTED = PIXELS.transpose(0, 3, 1, 2).astype(np.float32) / 255
LABELS = np.arange(60) % 3


def png(row: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[row]).save(buffer, "PNG")
    return buffer.getvalue()


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def text(value) -> bytes:
    return str(value).encode()


def write(path, files, kinds=None):
    """Write a shard of these files, in their order; `kinds` says which are no plain files."""
    path.parent.mkdir(exist_ok=True, parents=True)
    with tarfile.open(path, "w") as shard:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.type = (kinds or {}).get(name, tarfile.REGTYPE)
            info.linkname = "/etc/passwd" if info.type != tarfile.REGTYPE else ""
            shard.addfile(info, io.BytesIO(content))
    return path


def sample(row: int, key=None, **more) -> dict[str, bytes]:
    key = key or f"{row:06}"
    return {f"{key}.png": png(row), f"{key}.cls": text(LABELS[row])} | {
        f"{key}.{kind}": content for kind, content in more.items()
    }


def shards(folder, rows_of, **more):
    """Write shards `{name: rows}` of images with their class."""
    for name, rows in rows_of.items():
        files = {}
        for row in rows:
            files |= sample(row, **more)
        write(folder / name, files)
    return folder


THREE = {"set-000.tar": range(20), "set-001.tar": range(20, 45), "set-002.tar": range(45, 60)}


def rows_of(splits, name="input"):
    """Return images and labels of all parts in the order of PIXELS."""
    images = np.concatenate([part.arrays[name] for part in splits.parts])
    labels = splits.labels
    at = np.abs(images[None] - WANTED[:, None]).max(axis=(2, 3, 4)).argmin(axis=1)
    return images[at], labels[at]


class TestImages:
    def test_several_shards_are_one_data_set(self, tmp_path):
        splits = load_splits(shards(tmp_path / "d", THREE), [SPEC], seed=0)
        images, labels = rows_of(splits)
        np.testing.assert_allclose(images, WANTED, rtol=1e-6)
        np.testing.assert_array_equal(labels, LABELS)
        assert any("60 samples" in note and "3 archives" in note for note in splits.summary.notes)

    def test_one_shard_alone_is_read_too(self, tmp_path):
        shards(tmp_path, {"upload": range(60)})
        images, labels = rows_of(load_splits(tmp_path / "upload", [SPEC], seed=0))
        np.testing.assert_allclose(images, WANTED, rtol=1e-6)
        np.testing.assert_array_equal(labels, LABELS)

    def test_names_of_shards_give_the_parts(self, tmp_path):
        given = {
            "a-train-0.tar": range(40),
            "a-val-0.tar": range(40, 50),
            "test.tar": range(50, 60),
        }
        splits = load_splits(shards(tmp_path / "d", given), [SPEC], seed=0)
        assert splits.summary.split == "given"
        for part, rows in zip(splits.parts, given.values(), strict=True):
            np.testing.assert_allclose(part.arrays["input"], WANTED[list(rows)], rtol=1e-6)

    def test_samples_may_share_a_key_across_shards(self, tmp_path):
        for number in range(3):
            files = {}
            for at in range(20):
                files |= sample(20 * number + at, key=f"{at:03}")
            write(tmp_path / "d" / f"{number}.tar", files)
        images, labels = rows_of(load_splits(tmp_path / "d", [SPEC], seed=0))
        np.testing.assert_allclose(images, WANTED, rtol=1e-6)
        np.testing.assert_array_equal(labels, LABELS)

    def test_files_of_a_sample_may_lie_apart(self, tmp_path):
        files = {f"{row}.png": png(row) for row in range(60)}
        files |= {f"{row}.cls": text(LABELS[row]) for row in reversed(range(60))}
        labels = rows_of(load_splits(write(tmp_path / "d.tar", files), [SPEC], seed=0))[1]
        np.testing.assert_array_equal(labels, LABELS)


class TestLabels:
    def labels(self, path, files, **options):
        return rows_of(load_splits(write(path / "d.tar", files), [SPEC], seed=0, **options))[1]

    def test_of_an_object_by_a_usual_name(self, tmp_path):
        files = {}
        for row in range(60):
            about = {"width": 8, "label": f"class {LABELS[row]}"}
            files |= {f"{row}.json": json.dumps(about).encode(), f"{row}.png": png(row)}
        wanted = [f"class {label}" for label in LABELS]
        assert self.labels(tmp_path, files).tolist() == wanted

    def test_of_an_object_by_the_name_that_is_asked_for(self, tmp_path):
        files = {}
        for row in range(60):
            about = {"label": 0, "breed": int(LABELS[row])}
            files |= {f"{row}.json": json.dumps(about).encode(), f"{row}.png": png(row)}
        np.testing.assert_array_equal(self.labels(tmp_path, files, label="breed"), LABELS)

    def test_texts(self, tmp_path):
        files = {}
        for row in range(60):
            files |= {f"{row}.txt": f"kind {LABELS[row]}\n".encode(), f"{row}.png": png(row)}
        assert self.labels(tmp_path, files).tolist() == [f"kind {label}" for label in LABELS]

    def test_an_object_without_a_usual_name_asks_which(self, tmp_path):
        files = sample(0) | {"000000.json": b"{}"}
        files = {"a.png": png(0), "a.json": b'{"one": 1, "two": 2}'}
        with pytest.raises(DatasetMismatch, match=r"'one', 'two': say which .* --label NAME"):
            load_splits(write(tmp_path / "d.tar", files), [SPEC], seed=0)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"{", "is no JSON"),
            (b"[" * 100_000, "is no JSON"),
            (b'{"other": 1}', "has no 'label'"),
            (b'{"label": "a text"}', "like the others"),
            (b'{"label": {"a": 1}}', "like the others"),
            (b'{"label": null}', "like the others"),
            (b"\xff\xfe\x00", "is no text"),
            (b"", "is empty"),
        ],
    )
    def test_what_is_no_label_is_told_by_its_row(self, content, said, tmp_path):
        files = {"a.png": png(0), "a.json": b'{"label": 1}', "b.png": png(1), "b.json": content}
        with pytest.raises(DatasetMismatch, match=rf"d\.tar/b\.json' \(row 1\) .*{said}"):
            load_splits(write(tmp_path / "d.tar", files), [SPEC], seed=0)

    def test_a_sample_without_a_label_is_named(self, tmp_path):
        files = sample(0, "a") | sample(1, "b")
        del files["b.cls"]
        folder = write(tmp_path / "d" / "0.tar", files).parent
        with pytest.raises(DatasetMismatch, match=r"'0\.tar/b' has no label \.cls \(1 of 2"):
            load_splits(folder, [SPEC], seed=0)

    def test_a_label_without_an_image_is_named(self, tmp_path):
        files = sample(0, "a") | {"b.cls": b"1"}
        with pytest.raises(DatasetMismatch, match=r"/b' has no image \(1 of 2"):
            load_splits(write(tmp_path / "d.tar", files), [SPEC], seed=0)


class TestArrays:
    X = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32)

    def files(self, rows, name="npy"):
        made = {}
        for row in rows:
            made |= {f"{row:03}.{name}": npy(self.X[row]), f"{row:03}.cls": text(LABELS[row])}
        return made

    def test_are_rows_of_one_array(self, tmp_path):
        for number in range(3):
            rows = range(20 * number, 20 * number + 20)
            write(tmp_path / "d" / f"{number}.tar", self.files(rows))
        splits = load_splits(tmp_path / "d", [TABLE], seed=0)
        rows = np.concatenate([part.arrays["x"] for part in splits.parts])
        order = [int(np.flatnonzero((rows == one).all(1))[0]) for one in self.X]
        np.testing.assert_array_equal(splits.labels[order], LABELS)

    def test_shards_of_parts_are_parts_of_it(self, tmp_path):
        for part, rows in (("train", range(40)), ("val", range(40, 50)), ("test", range(50, 60))):
            write(tmp_path / "d" / f"{part}.tar", self.files(rows))
        splits = load_splits(tmp_path / "d", [TABLE], seed=0)
        np.testing.assert_array_equal(splits.train.arrays["x"], self.X[:40])
        np.testing.assert_array_equal(splits.test.arrays["x"], self.X[50:])

    def test_of_another_shape_are_told_by_their_row(self, tmp_path):
        files = self.files(range(4)) | {"002.npy": npy(np.zeros((4,), np.float32))}
        with pytest.raises(DatasetMismatch, match=r"002\.npy' \(row 2\) holds float32 \[4\]"):
            load_splits(write(tmp_path / "d.tar", files), [TABLE], seed=0)

    def test_of_objects_are_refused(self, tmp_path):
        files = self.files(range(4)) | {"001.npy": npy(np.array([{}], object))}
        with pytest.raises(DatasetMismatch, match=r"001\.npy' holds Python objects"):
            load_splits(write(tmp_path / "d.tar", files), [TABLE], seed=0)


class TestMoreThanTheDiskHolds:
    @pytest.fixture
    def large(self, tmp_path, monkeypatch):
        folder = shards(tmp_path / "d", THREE)
        small = load_splits(folder, [SPEC], seed=0)
        monkeypatch.setattr(decoded, "IN_MEMORY_BYTES", 100)
        monkeypatch.setattr(decoded, "most_allowed", lambda: 1000)
        return folder, small

    def test_images_are_decoded_when_their_rows_are_read(self, large):
        folder, small = large
        splits = load_splits(folder, [SPEC], seed=0)
        assert splits.summary == small.summary
        for part, wanted in zip(splits.parts, small.parts, strict=True):
            source = part.inputs["input"]
            assert isinstance(source, DecodedOnDemand)
            some = np.array([3, 0, 5])
            np.testing.assert_array_equal(source[some], wanted.inputs["input"][some])
            np.testing.assert_array_equal(source[:], wanted.inputs["input"])

    def test_a_feed_goes_on_where_it_stood(self, large, monkeypatch):
        monkeypatch.setattr(split_module, "IN_BLOCKS_BYTES", 100)
        monkeypatch.setattr("spectral_engine.training.order.BLOCK_BYTES", 4 * 8 * 8 * 3 * 4)
        splits = load_splits(large[0], [SPEC], seed=0)
        assert splits.train.is_read_in_blocks
        whole = Feed(splits.train, 8, torch.device("cpu"))
        seen = [whole.at_step(step, seed=5) for step in range(12)]
        again = load_splits(large[0], [SPEC], seed=0)
        resumed = Feed(again.train, 8, torch.device("cpu"))
        for step in (7, 11, 3):
            batch = resumed.at_step(step, seed=5)
            assert torch.equal(batch.inputs["input"], seen[step].inputs["input"])
            assert torch.equal(batch.labels, seen[step].labels)

    def test_a_folder_of_images_is_read_so_too(self, large, tmp_path):
        for row in range(60):
            path = tmp_path / "f" / str(LABELS[row]) / f"{row:03}.png"
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_bytes(png(row))
        splits = load_splits(tmp_path / "f", [SPEC], seed=0)
        assert isinstance(splits.train.inputs["input"], DecodedOnDemand)
        np.testing.assert_allclose(rows_of(splits)[0], WANTED, rtol=1e-6)

    def test_images_that_cannot_be_decoded_are_counted_before_anything_trains(self, large):
        folder = large[0]
        files = sample(0, "a") | sample(1, "b") | {"b.png": b"no image"}
        write(folder / "set-003.tar", files)
        with pytest.raises(DatasetMismatch, match=r"003\.tar/b: .*1 of 62 images cannot be used"):
            load_splits(folder, [SPEC], seed=0)

    def test_a_shard_that_is_cut_while_it_is_read_is_told(self, large):
        folder = large[0]
        source = load_splits(folder, [SPEC], seed=0).train.inputs["input"]
        for shard in folder.iterdir():
            shard.write_bytes(b"")
        with pytest.raises(DatasetMismatch, match="is cut short"):
            source[np.array([0])]


class TestHostileShards:
    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("../../a.png", "which leads out of it"),
            ("/etc/a.png", "an absolute path"),
            ("a/../../b.png", "which leads out of it"),
        ],
    )
    def test_a_name_that_leads_out(self, name, said, tmp_path):
        folder = write(tmp_path / "d" / "0.tar", sample(0) | {name: png(1)}).parent
        with pytest.raises(DatasetMismatch, match=said):
            load_splits(folder, [SPEC], seed=0)

    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            (tarfile.SYMTYPE, "which is a link"),
            (tarfile.LNKTYPE, "which is a link"),
            (tarfile.CHRTYPE, "no plain file"),
            (tarfile.FIFOTYPE, "no plain file"),
        ],
    )
    def test_links_and_devices(self, kind, said, tmp_path):
        files = sample(0) | {"b.png": b"", "b.cls": b"1"}
        folder = write(tmp_path / "d" / "0.tar", files, {"b.png": kind}).parent
        with pytest.raises(DatasetMismatch, match=f"'b.png', {said}|'b.png', which is {said}"):
            load_splits(folder, [SPEC], seed=0)

    def test_a_size_beyond_the_archive(self, tmp_path):
        path = write(tmp_path / "d" / "0.tar", sample(0))
        with tarfile.open(path) as shard:
            last = shard.getmembers()[-1]
        content = bytearray(path.read_bytes())
        last.size = 2**40
        content[last.offset : last.offset + 512] = last.tobuf(tarfile.GNU_FORMAT)
        path.write_bytes(content)
        with pytest.raises(DatasetMismatch, match=r"'0\.tar' is not a whole \.tar"):
            load_splits(path.parent, [SPEC], seed=0)

    def test_a_damaged_header_is_no_end(self, tmp_path):
        path = write(tmp_path / "d" / "0.tar", sample(0) | sample(1) | sample(2))
        with tarfile.open(path) as shard:
            third = shard.getmembers()[2]
        content = bytearray(path.read_bytes())
        content[third.offset + 10] ^= 1
        path.write_bytes(content)
        with pytest.raises(DatasetMismatch, match=r"'0\.tar' is not a whole \.tar.*no header"):
            load_splits(path.parent, [SPEC], seed=0)

    def test_a_file_that_is_too_large(self, tmp_path, monkeypatch):
        monkeypatch.setattr(index, "MOST_MEMBER_BYTES", 50)
        folder = shards(tmp_path / "d", THREE)
        with pytest.raises(DatasetMismatch, match=r"at most 50 are allowed"):
            load_splits(folder, [SPEC], seed=0)

    def test_too_many_files(self, tmp_path, monkeypatch):
        monkeypatch.setattr(index, "MOST_MEMBERS", 30)
        with pytest.raises(DatasetMismatch, match=r"at most 30 files"):
            load_splits(shards(tmp_path / "d", THREE), [SPEC], seed=0)

    def test_two_files_of_one_name(self, tmp_path):
        path = write(tmp_path / "d" / "0.tar", sample(0))
        with tarfile.open(path, "a") as shard:
            shard.addfile(tarfile.TarInfo("000000.cls"))
        with pytest.raises(DatasetMismatch, match="stands twice"):
            load_splits(path.parent, [SPEC], seed=0)

    def test_several_images_in_a_sample(self, tmp_path):
        files = sample(0) | {"000000.seg.png": png(1)}
        with pytest.raises(DatasetMismatch, match="has several images"):
            load_splits(write(tmp_path / "d" / "0.tar", files).parent, [SPEC], seed=0)

    def test_parts_that_some_shards_say(self, tmp_path):
        given = {"a.tar": range(5), "train.tar": range(5, 60)}
        with pytest.raises(DatasetMismatch, match=r"'a\.tar' belongs to no part"):
            load_splits(shards(tmp_path / "d", given), [SPEC], seed=0)
