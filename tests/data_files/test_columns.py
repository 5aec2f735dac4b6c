"""Which column is the label, which are features, and which are neither; said by name where that cannot be told."""

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet
import pytest

from spectral_engine.data import InputSpec, load_splits
from spectral_engine.errors import DatasetMismatch

FEATURES = InputSpec("x", np.dtype(np.float32), (None, 3))
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 3)).round(3)
WORDS = np.array(["ant", "bee", "cow"])[np.arange(60) % 3]
NUMBERS = np.arange(60) % 3
UUIDS = [f"{n * 7919:032x}" for n in range(60)]


def frame(**more):
    """Return a table of the features a, b and c, with columns before (`_name`) and behind them."""
    before = {name[1:]: column for name, column in more.items() if name.startswith("_")}
    behind = {name: column for name, column in more.items() if not name.startswith("_")}
    features = {name: X[:, index] for index, name in enumerate("abc")}
    return pandas.DataFrame({**before, **features, **behind})


def load(folder, table, **options):
    table.to_csv(folder / "d.csv", index=False)
    return load_splits(folder / "d.csv", [FEATURES], seed=0, **options)


def rows_of(splits):
    """All rows as (features, label), in no order."""
    every = [(part.inputs["x"], part.labels) for part in splits.parts]
    return sorted(
        (*np.round(row.astype(float), 3).tolist(), None if labels is None else str(labels[index]))
        for rows, labels in every
        for index, row in enumerate(rows)
    )


def expected(labels):
    labels = [None] * 60 if labels is None else map(str, labels)
    return sorted((*row.tolist(), label) for row, label in zip(X, labels, strict=True))


@pytest.mark.parametrize("labels", [WORDS, NUMBERS], ids=["texts", "numbers"])
@pytest.mark.parametrize(
    "name",
    ["Label", "LABEL", " Target ", "Class", "Y", "labels", "Outcome", "category", "SPECIES", "diagnosis", "label_id"],
)  # fmt: skip
def test_usual_names_are_known_without_case_and_blanks(tmp_path, name, labels):
    splits = load(tmp_path, frame(**{f"_{name}": labels}))
    assert rows_of(splits) == expected(labels)
    assert f"column {name.strip()!r} taken as the label" in splits.summary.notes


def test_the_only_column_of_texts_is_the_label_wherever_it_stands(tmp_path):
    splits = load(tmp_path, frame(_kind=WORDS))
    assert rows_of(splits) == expected(WORDS)
    assert splits.summary.label == "kind"


def test_a_column_is_asked_for_without_its_case(tmp_path):
    assert rows_of(load(tmp_path, frame(_Kind=NUMBERS), label="kind")) == expected(NUMBERS)


def test_a_label_that_only_its_place_tells_is_named_in_every_refusal(tmp_path):
    with pytest.raises(DatasetMismatch) as refused:
        load(tmp_path, frame(_kind=NUMBERS).assign(c=["1,5", "x"] * 30, d=X[:, 0]))
    assert refused.value.pointer == "#/file"
    said = refused.value.detail
    assert "--label COLUMN (labels.column)" in said
    assert "the columns are 'kind', 'a', 'b', 'c', 'd'" in said
    splits = load(tmp_path, frame(_kind=NUMBERS))  # as numbers, the last column is taken
    assert splits.summary.label == "c"
    assert "taken to be the last column, 'c'" in splits.doubt


@pytest.mark.parametrize(
    ("name", "column", "what"),
    [
        ("id", np.arange(60), "numbers the rows"),
        ("ID", np.arange(60)[::-1] * 7 + 1000, "numbers the rows"),
        ("row", np.arange(1, 61), "numbers the rows"),
        ("uuid", UUIDS, "holds another text in each row"),
        ("name", [f"row_{n}" for n in range(60)], "holds another text in each row"),
        ("when", pandas.date_range("2024-01-01", periods=60), "holds times"),
        ("day", [f"2024-01-{n % 28 + 1:02}" for n in range(60)], "holds times"),
    ],
)
@pytest.mark.parametrize("labels", [WORDS, NUMBERS, None], ids=["texts", "numbers", "none"])
def test_what_is_no_feature_is_left_out_where_it_is_one_too_many(
    tmp_path, name, column, what, labels
):
    more = {} if labels is None else {"label": labels}
    splits = load(tmp_path, frame(**{f"_{name}": column}, **more))
    assert rows_of(splits) == expected(labels)
    assert f"column {name!r} {what}, and is left out" in splits.summary.notes


def test_a_column_that_numbers_rows_is_a_feature_where_the_model_takes_it(tmp_path):
    table = frame(_id=np.arange(60), label=WORDS).drop(columns="b")
    splits = load(tmp_path, table)
    assert splits.feature_names == ["id", "a", "c"]
    splits = load(tmp_path, frame(_id=np.arange(60), kind=NUMBERS).drop(columns="b"))
    assert (splits.feature_names, splits.summary.label) == (["id", "a", "c"], "kind")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (np.array(["red", "blue"])[np.arange(60) % 2], "most likely 'more', which holds texts"),
        (np.ones(60), "most likely 'more', which holds one value alone"),
        (X[:, 0] * 2, "drop what is no feature"),
    ],
)
def test_one_column_too_many_is_refused_by_the_likeliest(tmp_path, column, said):
    with pytest.raises(DatasetMismatch, match="has 4 feature columns beside 'label'") as refused:
        load(tmp_path, frame(_more=column, label=NUMBERS))
    assert said in refused.value.detail
    assert "the columns are 'more', 'a', 'b', 'c', 'label'" in refused.value.detail


def test_two_columns_of_labels_are_refused_by_name(tmp_path):
    with pytest.raises(DatasetMismatch, match="'label_id', which may be another label"):
        load(tmp_path, frame(label=WORDS, label_id=NUMBERS))


@pytest.mark.parametrize("name", [None, "row", "a number"])
@pytest.mark.parametrize("labels", [WORDS, None], ids=["labels", "none"])
def test_an_index_of_pandas_in_parquet_is_left_out(tmp_path, name, labels):
    table = frame() if labels is None else frame(label=labels)
    table.index = pandas.Index(RANDOM.permutation(60), name=name)
    table.to_parquet(tmp_path / "d.parquet")
    splits = load_splits(tmp_path / "d.parquet", [FEATURES], seed=0)
    assert rows_of(splits) == expected(labels)
    assert any("is an index of pandas" in note for note in splits.summary.notes)


LISTS = {
    "lists": pa.array(X.tolist()),
    "lists of a fixed size": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 3),
    "large lists": pa.array(X.tolist(), pa.large_list(pa.float32())),
    "lists of lists": pa.array([[row] for row in X.tolist()]),
    "a struct": pa.StructArray.from_arrays([pa.array(X[:, n]) for n in range(3)], ["a", "b", "c"]),
}


@pytest.mark.parametrize("form", LISTS)
@pytest.mark.parametrize("name", ["features", "x"])
def test_lists_that_make_the_count_right_are_the_features(tmp_path, form, name):
    table = pa.table({"id": range(60), name: LISTS[form], "label": WORDS})
    pyarrow.parquet.write_table(table, tmp_path / "d")
    splits = load_splits(tmp_path / "d", [FEATURES], seed=0)
    assert rows_of(splits) == expected(WORDS)
    assert any(f"column {name!r} holds" in note for note in splits.summary.notes)


def test_lists_may_be_labels(tmp_path):
    hot = np.eye(3, dtype=int)[NUMBERS]
    table = pa.table({"x": LISTS["lists"], "y": hot.tolist()})
    pyarrow.parquet.write_table(table, tmp_path / "d")
    splits = load_splits(tmp_path / "d", [FEATURES], seed=0)
    assert splits.labels.shape == (60, 3)
    assert splits.labels.sum(0).tolist() == [20, 20, 20]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([[1.0, 2.0]] * 60, r"column 'v' holds lists of 2 numbers, and the model takes 3"),
        ([[1.0]] * 50 + [[1.0, 2.0]] * 10, r"several lengths, 1 in row 0 and 2 in row 50"),
        ([[1.0, 2.0, 3.0]] * 59 + [None], r"column 'v' has no value in row 59"),
        ([["a", "b", "c"]] * 60, r"column 'v' holds lists of string"),
        ([[1.0, None, 3.0]] * 60, r"column 'v' has no value in some places of its lists"),
    ],
)
def test_lists_that_are_no_features_are_refused_by_name(tmp_path, values, said):
    table = pa.table({"v": values, "a": X[:, 0], "b": X[:, 1], "label": WORDS})
    pyarrow.parquet.write_table(table, tmp_path / "d")
    with pytest.raises(DatasetMismatch, match=said) as refused:
        load_splits(tmp_path / "d", [FEATURES], seed=0)
    assert refused.value.pointer.startswith("#/v")


@pytest.mark.parametrize("labels", [WORDS, None], ids=["labels", "none"])
def test_a_column_may_give_the_parts(tmp_path, labels):
    split = np.array(["train"] * 40 + ["Valid"] * 12 + ["test"] * 8)
    more = {} if labels is None else {"label": labels}
    splits = load(tmp_path, frame(Split=split, **more))
    assert [part.rows for part in splits.parts] == [40, 12, 8]
    assert rows_of(splits) == expected(labels)
    np.testing.assert_array_equal(splits.test.inputs["x"], X[52:].astype(np.float32))
    assert (splits.summary.split, splits.given) == ("given", ("train", "val", "test"))
    assert "column 'Split' says which rows are train, val and test" in splits.summary.notes


def test_a_column_of_parts_without_a_value_is_named_by_row(tmp_path):
    split = np.array(["train"] * 59 + [""])
    with pytest.raises(DatasetMismatch, match="column 'split' has no value in row 59") as refused:
        load(tmp_path, frame(split=split, label=WORDS))
    assert refused.value.pointer == "#/split/59"
