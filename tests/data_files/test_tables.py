"""Tables as people write them: every spelling of one table gives the same rows and labels, or says what is wrong."""

import gzip
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_engine.data import InputSpec, load_splits
from spectral_engine.errors import DatasetMismatch, EngineError

FEATURES = InputSpec("x", np.dtype(np.float32), (None, 3))
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 3)).round(3)
WORDS = np.array(["café", "thé", "eau"])[np.arange(60) % 3]
NAMES = ["a", "b", "c", "label"]


def written(separator=",", decimal=".", names=NAMES, words=WORDS, end="", quote=""):
    lines = [] if names is None else [separator.join(names) + end]
    for row, word in zip(X, words, strict=True):
        cells = [str(value).replace(".", decimal) for value in row]
        lines.append(separator.join([*cells, f"{quote}{word}{quote}"]) + end)
    return "\n".join(lines) + "\n"


def rows_of(splits):
    """All rows as (features, label), in no order."""
    return sorted(
        (*np.round(row.astype(float), 3).tolist(), str(label))
        for part in splits.parts
        for row, label in zip(part.inputs["x"], part.labels, strict=True)
    )


EXPECTED = sorted((*row.tolist(), str(word)) for row, word in zip(X, WORDS, strict=True))
SPELLINGS = {
    "plain": written().encode(),
    "with a mark": written().encode("utf-8-sig"),
    "latin-1": written().encode("latin-1"),
    "windows-1252": written().encode("cp1252"),
    "utf-16": written().encode("utf-16"),
    "utf-16 without a mark": written().encode("utf-16-le"),
    "semicolons": written(";").encode(),
    "tabs": written("\t").encode(),
    "bars": written("|").encode(),
    "decimal commas": written(";", ",").encode(),
    "decimal commas in latin-1": written(";", ",").encode("latin-1"),
    "quotes": written(quote='"').encode(),
    "windows line ends": written().replace("\n", "\r\n").encode(),
    "separators at the ends": written(end=",").encode(),
    "blank lines at the end": written().encode() + b"\n\n\n",
    "no header": written(names=None).encode(),
    "blanks around": written(", ").encode(),
    "compressed": gzip.compress(written().encode()),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_gives_the_same_rows(tmp_path, spelling):
    path = tmp_path / "rows"
    path.write_bytes(SPELLINGS[spelling])
    assert rows_of(load_splits(path, [FEATURES], seed=0)) == EXPECTED


@pytest.mark.parametrize(
    ("spelling", "said"),
    [
        ("latin-1", "cp1252"),
        ("utf-16", "utf-16"),
        ("semicolons", "semicolons"),
        ("tabs", "tabs"),
        ("decimal commas", "decimals"),
        ("no header", "column_0"),
    ],
)
def test_what_is_unusual_is_said(tmp_path, spelling, said):
    path = tmp_path / "rows.csv"
    path.write_bytes(SPELLINGS[spelling])
    notes = load_splits(path, [FEATURES], seed=0).summary.notes
    assert any(said in note for note in notes)


@pytest.mark.parametrize("name", ["", "index", "id", "Unnamed: 0"])
def test_a_column_that_numbers_the_rows_is_left_out(tmp_path, name):
    lines = written().splitlines()
    numbered = [f"{name},{lines[0]}", *(f"{i},{line}" for i, line in enumerate(lines[1:]))]
    (tmp_path / "d.csv").write_text("\n".join(numbered))
    splits = load_splits(tmp_path / "d.csv", [FEATURES], seed=0)
    assert rows_of(splits) == EXPECTED
    assert any("numbers the rows" in note for note in splits.summary.notes)


def test_thousands_are_read_where_one_sign_serves_the_whole_column(tmp_path):
    lines = ["a;b;c;label"]
    lines += [f"1.234.567,5;{i};1 234;{'xy'[i % 2]}" for i in range(30)]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    splits = load_splits(tmp_path / "d.csv", [FEATURES], seed=0)
    assert splits.train.inputs["x"][0, 0] == pytest.approx(1234567.5)
    assert splits.train.inputs["x"][0, 2] == 1234
    assert sum("thousands" in note for note in splits.summary.notes) == 2


@pytest.mark.filterwarnings("ignore:Feather V1 files:DeprecationWarning")
@pytest.mark.parametrize("kind", ["parquet", "arrow", "feather"])
def test_binary_tables_are_told_by_their_first_bytes(tmp_path, kind):
    table = pa.table({**{name: X[:, i] for i, name in enumerate("abc")}, "label": WORDS})
    if kind == "parquet":
        pyarrow.parquet.write_table(table, tmp_path / "rows")
    else:
        more = {"version": 2, "compression": "uncompressed"} if kind == "arrow" else {"version": 1}
        pyarrow.feather.write_feather(table, tmp_path / "rows", **more)
    assert rows_of(load_splits(tmp_path / "rows", [FEATURES], seed=0)) == EXPECTED


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "HDF5"),
        (b"\x80\x04\x95" + b"\0" * 100, "pickle"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 100, "spreadsheet"),
        (b"\x1f\x8b" + b"\x08\0broken", "gzip"),
        (b"PAR1" + b"broken", "parquet"),
        (b"\0\1\2\3" * 50, "no text"),
        (b"a,b,c,label\n", "no rows"),
    ],
)
def test_what_is_no_table_is_refused_by_what_it_is(tmp_path, content, said):
    (tmp_path / "rows").write_bytes(content)
    with pytest.raises(DatasetMismatch, match=said) as refused:
        load_splits(tmp_path / "rows", [FEATURES], seed=0)
    assert refused.value.detail.isprintable()


def test_labels_without_a_value_are_named_by_row_and_count(tmp_path):
    words = WORDS.copy().astype(object)
    words[[7, 9]] = ""
    (tmp_path / "d.csv").write_text(written(words=words))
    with pytest.raises(DatasetMismatch, match=r"row 7 \(2 of 60") as refused:
        load_splits(tmp_path / "d.csv", [FEATURES], seed=0)
    assert refused.value.pointer == "#/label/7"


BASE = written(";", ",").encode()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(BASE) - 1), st.binary(max_size=12), st.integers(0, 40))
def test_a_damaged_table_is_read_or_refused_and_never_a_traceback(tmp_path_factory, at, put, cut):
    path = tmp_path_factory.mktemp("fuzz") / "rows"
    path.write_bytes(BASE[:at] + put + BASE[at + cut :])
    with suppress(EngineError):  # and nothing else
        load_splits(path, [FEATURES], seed=0)


def test_columns_of_yes_and_no_are_ones_and_zeros(tmp_path):
    lines = ["a,b,c,label", *(f"{i},{i % 2 == 0},{i * 2},{i % 3 == 0}" for i in range(30))]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    splits = load_splits(tmp_path / "d.csv", [FEATURES], seed=0)
    rows = splits.train.inputs["x"]
    assert (rows[:, 1] == (rows[:, 0] % 2 == 0)).all()
    assert (splits.train.labels == (rows[:, 0] % 3 == 0)).all()
