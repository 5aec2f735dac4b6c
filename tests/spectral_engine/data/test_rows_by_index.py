"""Rows of files that are larger than what is held in memory: the same numbers, read by the numbers of their rows."""

import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

import spectral_engine as se
from spectral_engine.data import InputSpec, Split, load_splits, row_source
from spectral_engine.data import split as split_module
from spectral_engine.data.reading import npz
from spectral_engine.errors import DatasetMismatch
from spectral_engine.training.feed import Feed
from spectral_engine.training.order import shuffled_blocks
from tests.support.digits import save_model
from tests.support.digits import splits as digits

IMAGES = InputSpec("x", np.dtype(np.float32), (None, 3, 4, 4))
RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (90, 4, 4, 3), np.uint8)
FLOATS = RNG.normal(size=(90, 3, 4, 4)).astype(np.float32)
LABELS = np.arange(90) % 3
PIXELS = {"scale": 1 / 255, "mean": [0.1, 0.2, 0.3], "std": [0.3, 0.2, 0.1], "layout": "nchw"}


@pytest.fixture
def everything_is_large(monkeypatch):
    monkeypatch.setattr(row_source, "BY_INDEX_BYTES", 100)
    monkeypatch.setattr(npz, "IN_MEMORY_BYTES", 100)


def parts_of(splits):
    return [(part.arrays["x"], part.labels) for part in splits.parts]


def write_npy(path, x):
    np.save(path / "x.npy", x)
    np.save(path / "y.npy", LABELS)
    return path / "x.npy"


def write_npz(path, x, save=np.savez):
    save(path / "d.npz", x=x, y=LABELS)
    return path / "d.npz"


FILES = {
    "npy": write_npy,
    "npz": write_npz,
    "compressed npz": lambda path, x: write_npz(path, x, np.savez_compressed),
    "npz of columns": lambda path, x: write_npz(path, np.asfortranarray(x)),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    ("x", "preprocessing"), [(FLOATS, None), (FLOATS.astype(np.float64), None), (BYTES, PIXELS)]
)
def test_rows_read_by_index_are_those_read_into_memory(
    kind, x, preprocessing, tmp_path, monkeypatch
):
    path = FILES[kind](tmp_path, x)
    small = load_splits(path, [IMAGES], seed=0, preprocessing=preprocessing)
    monkeypatch.setattr(row_source, "BY_INDEX_BYTES", 100)
    monkeypatch.setattr(npz, "IN_MEMORY_BYTES", 100)
    large = load_splits(path, [IMAGES], seed=0, preprocessing=preprocessing)
    assert all(isinstance(part.inputs["x"], row_source.ChosenRows) for part in large.parts)
    assert large.summary == small.summary
    for (rows, labels), (wanted, wanted_labels) in zip(
        parts_of(large), parts_of(small), strict=True
    ):
        np.testing.assert_array_equal(rows, wanted)
        np.testing.assert_array_equal(labels, wanted_labels)


@pytest.mark.usefixtures("everything_is_large")
def test_a_missing_number_in_a_large_file_is_told_by_its_row(tmp_path):
    x = FLOATS.copy()
    x[71, 1, 2, 3] = np.nan
    with pytest.raises(DatasetMismatch, match="NaN in row 71, column 1, 2, 3"):
        load_splits(write_npz(tmp_path, x), [IMAGES], seed=0)


@pytest.mark.usefixtures("everything_is_large")
def test_a_large_array_with_a_wrong_checksum_is_refused(tmp_path):
    path = write_npz(tmp_path, FLOATS)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("x.npy").header_offset
    content = bytearray(path.read_bytes())
    content[start + 1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatasetMismatch, match=r"not a whole \.npz archive"):
        load_splits(path, [IMAGES], seed=0)


def test_a_large_file_takes_a_part_of_its_size_in_memory(tmp_path, monkeypatch):
    x = RNG.normal(size=(4096, 3, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(4096) % 3)
    size, spec = x.nbytes, InputSpec("x", np.dtype(np.float32), (None, 3, 16, 16))
    del x
    for module, name in ((row_source, "BY_INDEX_BYTES"), (npz, "IN_MEMORY_BYTES")):
        monkeypatch.setattr(module, name, size // 2)
    monkeypatch.setattr(row_source, "CHUNK_BYTES", size // 64)
    monkeypatch.setattr(npz, "COPIED_AT_ONCE", size // 64)
    tracemalloc.start()
    try:
        splits = load_splits(tmp_path / "d.npz", [spec], seed=0)
        feed = Feed(splits.train, 64, torch.device("cpu"))
        for step in range(feed.steps_per_epoch):
            feed.at_step(step, seed=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size / 8


def test_blocks_hold_every_row_once_and_neighbours_stay_near():
    order = shuffled_blocks(1003, 10, 8, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(order), np.arange(1003))
    places = np.argsort(order)
    of_one_block = [places[start : start + 10] for start in range(0, 1003, 10)]
    assert max(np.ptp(block) for block in of_one_block) < 80
    assert np.corrcoef(order, np.arange(1003))[0, 1] == pytest.approx(0, abs=0.2)


def test_a_feed_of_blocks_goes_on_where_it_stood(monkeypatch):
    monkeypatch.setattr(row_source, "BY_INDEX_BYTES", 100)
    monkeypatch.setattr(split_module, "IN_BLOCKS_BYTES", 100)
    split = Split({"x": row_source.by_index(FLOATS)}, LABELS)
    whole = Feed(split, 8, torch.device("cpu"))
    seen = [whole.at_step(step, seed=5) for step in range(22)]
    again = Feed(split, 8, torch.device("cpu")).at_step(17, seed=5)
    assert torch.equal(again.inputs["x"], seen[17].inputs["x"])
    first, second = (np.concatenate([b.rows for b in seen[at : at + 11]]) for at in (0, 11))
    assert len(set(first)) == len(set(second)) == 88
    assert not np.array_equal(first, second)


def test_a_job_on_rows_read_by_index_gives_the_same_bytes(tmp_path, monkeypatch):
    model, data = save_model(tmp_path / "model.onnx"), tmp_path / "digits.npz"
    pixels = {name: array * 2 if name[0] == "x" else array for name, array in digits().items()}
    np.savez(data, **pixels)
    once = {"epochs": 1, "batch_size": 256}
    recipe = {"method": "retrain", "training": once}

    def job():
        made = se.compress(model, data, recipe, preprocessing={"scale": 0.5})
        return [one.model_bytes for one in made.candidates], made.report.data.baseline.metric

    small = job()
    monkeypatch.setattr(row_source, "BY_INDEX_BYTES", 100)
    monkeypatch.setattr(npz, "IN_MEMORY_BYTES", 100)
    assert job() == small
