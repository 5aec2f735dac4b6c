"""Tables that are larger than what is held in memory: converted once, and read as any other."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from spectral_engine.data import InputSpec, allowance, load_splits, row_source
from spectral_engine.data.reading import mapped_table, text_batches
from spectral_engine.errors import DatasetMismatch

ROWS = 400
SPEC = InputSpec("x", np.dtype(np.float32), (None, 40))
X = np.random.default_rng(0).normal(size=(ROWS, 40)).astype(np.float32)
WORDS = np.array(["cat", "dog", "eel"])[np.arange(ROWS) % 3]


def columns():
    named = {f"f{index}": column for index, column in enumerate(X.T)}
    named["f1"] = np.arange(ROWS)
    named["f2"] = X[:, 2] > 0
    named["f3"] = [f"1,{row:03}.5" for row in range(ROWS)]
    return pa.table({**named, "kind": pa.array(WORDS).dictionary_encode()})


def lists():
    rows = pa.array(list(X), pa.list_(pa.float32()))
    return pa.table({"embedding": rows, "label": WORDS})


def write_parquet(path, table):
    pyarrow.parquet.write_table(table, path, row_group_size=150)


def write_lz4(path, table):
    pyarrow.feather.write_feather(table, path, "lz4", chunksize=150)


def write_stream(path, table):
    with pyarrow.ipc.new_stream(path, table.schema) as stream:
        for start in range(0, ROWS, 150):
            stream.write_table(table.slice(start, 150))


def write_late_fractions(path, table):
    """Whole numbers, but for one fraction and one text at the end."""
    counts = [*range(ROWS - 1), 0.25]
    words = [*([1] * (ROWS - 1)), "n"]
    csv = table.set_column(5, "f5", pa.array(counts)).set_column(
        40, "kind", pa.array(map(str, words))
    )
    pyarrow.csv.write_csv(csv, path)


FILES = {
    "parquet": (write_parquet, columns),
    "parquet of lists": (write_parquet, lists),
    "compressed Arrow": (write_lz4, columns),
    "Arrow stream": (write_stream, columns),
    "csv": (lambda path, table: table.to_pandas().to_csv(path), columns),
    "csv with late fractions": (write_late_fractions, columns),
}


def make_large(monkeypatch):
    monkeypatch.setattr(row_source, "BY_INDEX_BYTES", 100)
    monkeypatch.setattr(mapped_table, "BATCH_BYTES", 40 * 8 * 90)
    monkeypatch.setattr(text_batches, "BLOCK_BYTES", 2**13)


@pytest.mark.parametrize("kind", FILES)
def test_a_large_table_is_read_as_a_small_one(kind, tmp_path, monkeypatch):
    write, table = FILES[kind]
    write(tmp_path / "t", table())
    small = load_splits(tmp_path / "t", [SPEC], seed=0)
    make_large(monkeypatch)
    large = load_splits(tmp_path / "t", [SPEC], seed=0)
    assert large.summary == small.summary
    assert large.feature_names == small.feature_names
    for part, wanted in zip(large.parts, small.parts, strict=True):
        assert isinstance(part.inputs["x"], row_source.ChosenRows)
        np.testing.assert_array_equal(part.arrays["x"], wanted.arrays["x"])
        np.testing.assert_array_equal(part.labels, wanted.labels)
        assert part.labels.dtype == wanted.labels.dtype


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            lists().set_column(0, "x", pa.array([*X[:300], *X[300:, :39]])),
            r"40 in row \d+ and 39 in row 300",
        ),
        (columns().set_column(7, "f7", pa.array([*X[:-1, 7], None])), "no value in row 399"),
    ],
)
def test_what_is_wrong_in_a_large_table_is_told_by_its_row(table, said, tmp_path, monkeypatch):
    write_parquet(tmp_path / "t", table)
    make_large(monkeypatch)
    with pytest.raises(DatasetMismatch, match=said):
        load_splits(tmp_path / "t", [SPEC], seed=0)


def test_pandas_index_is_left_out_of_a_large_table(tmp_path, monkeypatch):
    frame = pd.DataFrame(X, columns=[f"f{index}" for index in range(40)]).assign(label=WORDS)
    frame.set_index(pd.Index(np.arange(ROWS) * 3 % 401, name="key")).to_parquet(tmp_path / "t")
    make_large(monkeypatch)
    splits = load_splits(tmp_path / "t", [SPEC], seed=0)
    assert "column 'key' is an index of pandas, and is left out" in splits.summary.notes


def test_a_small_file_may_not_declare_what_fills_a_disk(tmp_path, monkeypatch):
    path = tmp_path / "zeros.parquet"
    values = np.zeros(1_000_000)
    pyarrow.parquet.write_table(pa.table({"a": values, "label": values}), path)
    assert path.stat().st_size * allowance.MOST_TIMES_ITS_SIZE < 2 * values.nbytes
    load_splits(path, [InputSpec("x", np.dtype(np.float32), (None, 1))], seed=0)
    monkeypatch.setattr(allowance, "ANY_FILE_BYTES", 2**20)
    with pytest.raises(DatasetMismatch, match=r"16,000,000 bytes; at most .* of its size"):
        load_splits(path, [InputSpec("x", np.dtype(np.float32), (None, 1))], seed=0)
