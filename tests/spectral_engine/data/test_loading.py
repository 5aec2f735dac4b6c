"""Data sets: what is taken, and how what is refused is named."""

import io
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from spectral_engine.data import Claim, InputSpec, load_splits
from spectral_engine.data.reading import npz as npz_module
from spectral_engine.errors import DatasetMismatch, InvalidRequest

ROWS = InputSpec("features", np.dtype(np.float32), (None, 6))
IMAGES = InputSpec("image", np.dtype(np.float32), (None, 1, 2, 3))
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 6)).astype(np.float32)
Y = np.arange(60) % 3


def write(path, **arrays):
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def refused(path, *inputs, **options):
    with pytest.raises(DatasetMismatch) as caught:
        load_splits(path, inputs or (ROWS,), seed=0, **options)
    return caught.value


class TestAccepted:
    def test_x_and_y_are_split_at_random_with_every_class_in_every_part(self, tmp_path):
        splits = load_splits(write(tmp_path / "d.npz", x=X, y=Y), [ROWS], seed=0)
        parts = [splits.train, splits.validation, splits.test]
        assert sum(part.rows for part in parts) == 60
        assert all(set(part.labels) == {0, 1, 2} for part in parts)
        together = np.concatenate([part.inputs["features"] for part in parts])
        assert len(np.unique(together, axis=0)) == 60
        assert splits.summary.split == "random"

    def test_the_same_seed_splits_alike_and_another_one_differently(self, tmp_path):
        path = write(tmp_path / "d.npz", x=X, y=Y)
        first, again, other = (load_splits(path, [ROWS], seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first.test.labels, again.test.labels)
        assert not np.array_equal(first.test.inputs["features"], other.test.inputs["features"])

    @pytest.mark.parametrize(
        ("rows", "floor", "held_out"),
        [
            (
                1000,
                0.01,
                0.374,
            ),  # 299 rows show one point where no answer is lost, and a quarter more
            (800, 0.01, 0.40),  # never more than that
            (2500, 0.01, 0.15),  # 375 rows will do
            (600, 0.01, 0.15),  # out of reach: training rows are worth more
            (2500, 0.05, 0.15),  # the usual share is enough
            (2500, 0.0, 0.15),  # nothing shows that
        ],
    )
    def test_as_many_rows_are_held_out_as_a_floor_needs(self, tmp_path, rows, floor, held_out):
        data = write(tmp_path / "d.npz", x=np.zeros((rows, 6), np.float32), y=np.arange(rows) % 4)
        splits = load_splits(data, [ROWS], seed=0, claim=Claim(floor, 0.95))
        assert splits.test.rows == pytest.approx(held_out * rows, abs=6)
        assert splits.validation.rows == pytest.approx(0.15 * rows, abs=6)
        said = any("of the rows are held out" in note for note in splits.summary.notes)
        assert said == (held_out > 0.15)

    def test_given_splits_are_used_as_they_are(self, tmp_path):
        path = write(
            tmp_path / "d.npz",
            x_train=X[:30], y_train=Y[:30], x_val=X[30:45], y_val=Y[30:45], x_test=X[45:], y_test=Y[45:],
        )  # fmt: skip
        splits = load_splits(path, [ROWS], seed=0)
        np.testing.assert_array_equal(splits.train.inputs["features"], X[:30])
        np.testing.assert_array_equal(splits.test.labels, Y[45:])
        assert splits.summary.split == "given"

    def test_a_given_test_part_is_never_cut_for_validation(self, tmp_path):
        path = write(
            tmp_path / "d.npz", x_train=X[:45], y_train=Y[:45], x_test=X[45:], y_test=Y[45:]
        )
        splits = load_splits(path, [ROWS], seed=0)
        np.testing.assert_array_equal(splits.test.inputs["features"], X[45:])
        assert splits.train.rows + splits.validation.rows == 45

    def test_arrays_by_the_inputs_names_feed_several_inputs(self, tmp_path):
        second = InputSpec("more", np.dtype(np.int64), (None, 2))
        path = write(tmp_path / "d.npz", features=X, more=np.ones((60, 2), np.int32), y=Y)
        splits = load_splits(path, [ROWS, second], seed=0)
        assert splits.train.inputs["more"].dtype == np.int64

    def test_rows_of_as_many_numbers_are_reshaped_and_that_is_noted(self, tmp_path):
        splits = load_splits(write(tmp_path / "d.npz", x=X, y=Y), [IMAGES], seed=0)
        assert splits.train.inputs["image"].shape[1:] == (1, 2, 3)
        assert any("taken as [1, 2, 3]" in note for note in splits.summary.notes)

    def test_unsigned_bytes_are_scaled_as_the_preprocessing_says(self, tmp_path):
        path = write(tmp_path / "d.npz", x=np.full((60, 6), 255, np.uint8), y=Y)
        splits = load_splits(
            path, [ROWS], seed=0, preprocessing={"scale": 1 / 255, "mean": 0.5, "std": 0.5}
        )
        np.testing.assert_allclose(splits.train.inputs["features"], 1.0, rtol=1e-6)

    def test_labels_stay_as_the_file_has_them(self, tmp_path):
        words = np.array(["cat", "dog", "eel"])[Y]
        splits = load_splits(write(tmp_path / "d.npz", x=X, y=words), [ROWS], seed=0)
        assert set(splits.train.labels) == {"cat", "dog", "eel"}

    def test_float_labels_are_targets_of_a_regression(self, tmp_path):
        splits = load_splits(write(tmp_path / "d.npz", x=X, y=X[:, 0]), [ROWS], seed=0)
        assert splits.train.labels.dtype == np.float32

    def test_data_without_labels_are_taken(self, tmp_path):
        assert load_splits(write(tmp_path / "d.npz", x=X), [ROWS], seed=0).train.labels is None

    def test_arrays_over_the_limit_stay_on_disk_and_read_the_same(self, tmp_path, monkeypatch):
        path = write(tmp_path / "d.npz", x_train=X, y_train=Y, x_val=X, y_val=Y, x_test=X, y_test=Y)
        monkeypatch.setattr(npz_module, "IN_MEMORY_BYTES", 100)
        splits = load_splits(path, [ROWS], seed=0)
        assert isinstance(splits.train.inputs["features"], np.memmap)
        np.testing.assert_array_equal(splits.train.inputs["features"], X)

    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    @pytest.mark.parametrize("label", ["label", "kind"])
    def test_tables_give_features_in_order_and_their_names(self, tmp_path, ending, label):
        path = write_table(tmp_path / f"t.{ending}", {**columns(), label: Y})
        splits = load_splits(path, [ROWS], seed=0)
        assert splits.feature_names == [f"f{i}" for i in range(6)]
        assert splits.summary.label == label
        assert set(splits.train.labels) == {0, 1, 2}
        rows = np.concatenate(
            [p.inputs["features"] for p in (splits.train, splits.validation, splits.test)]
        )
        np.testing.assert_allclose(np.sort(rows[:, 2]), np.sort(X[:, 2]), rtol=1e-5)

    def test_a_named_label_column_may_stand_anywhere(self, tmp_path):
        path = write_table(tmp_path / "t.csv", {"kind": Y, **columns()})
        assert load_splits(path, [ROWS], seed=0, label="kind").summary.label == "kind"


class TestRefused:
    def test_an_empty_file(self, tmp_path):
        for name in ("d.npz", "t.csv", "t.parquet"):
            (tmp_path / name).touch()
            assert refused(tmp_path / name).pointer == "#/file"

    def test_a_file_that_is_cut_off(self, tmp_path):
        content = write(tmp_path / "d.npz", x=X, y=Y).read_bytes()
        (tmp_path / "d.npz").write_bytes(content[: len(content) // 2])
        assert "npz" in refused(tmp_path / "d.npz").detail

    def test_a_missing_array_by_the_names_it_could_have(self, tmp_path):
        error = refused(write(tmp_path / "d.npz", z=X, y=Y))
        assert "'features' or 'x'" in error.detail
        assert error.pointer == "#/features"

    def test_rows_of_another_length_with_both_shapes(self, tmp_path):
        error = refused(write(tmp_path / "d.npz", x=X[:, :5], y=Y))
        assert "[5]" in error.detail
        assert "float32[N, 6]" in error.detail

    def test_numbers_of_rows_that_differ(self, tmp_path):
        assert "has 60" in refused(write(tmp_path / "d.npz", x=X, y=Y[:50])).detail

    def test_nan_by_row_and_column(self, tmp_path):
        bad = X.copy()
        bad[41, 3] = np.nan
        error = refused(write(tmp_path / "d.npz", x=bad, y=Y))
        assert "NaN in row 41, column 3" in error.detail
        assert error.pointer == "#/x/41"

    def test_infinity_in_a_table_by_row_and_column(self, tmp_path):
        table = columns()
        table["f2"] = table["f2"].copy()
        table["f2"][7] = np.inf
        error = refused(write_table(tmp_path / "t.parquet", {**table, "label": Y}))
        assert "infinite value in row 7, column 'f2'" in error.detail

    def test_a_missing_value_in_a_table_by_row_and_column(self, tmp_path):
        values = [None if i == 5 else float(i) for i in range(60)]
        error = refused(write_table(tmp_path / "t.csv", {**columns(), "f1": values, "label": Y}))
        assert "'f1' has no value in row 5" in error.detail

    def test_unsigned_bytes_without_preprocessing(self, tmp_path):
        error = refused(write(tmp_path / "d.npz", x=X.astype(np.uint8), y=Y))
        assert "preprocessing" in error.detail

    def test_words_where_numbers_are_wanted(self, tmp_path):
        assert "numbers" in refused(write(tmp_path / "d.npz", x=X.astype(str), y=Y)).detail

    def test_a_column_of_words_by_name(self, tmp_path):
        table = {**columns(), "f4": ["red"] * 60, "label": Y}
        assert "'f4'" in refused(write_table(tmp_path / "t.csv", table)).detail

    def test_a_label_column_that_is_not_there(self, tmp_path):
        path = write_table(tmp_path / "t.csv", {**columns(), "label": Y})
        error = refused(path, label="colour")
        assert error.pointer == "#/label"
        assert "'colour'" in error.detail

    def test_too_few_feature_columns(self, tmp_path):
        table = columns()
        del table["f5"]
        assert (
            "5 feature columns"
            in refused(write_table(tmp_path / "t.csv", {**table, "label": Y})).detail
        )

    def test_python_objects_are_never_unpickled(self, tmp_path):
        path = tmp_path / "d.npz"
        np.savez(path, x=X, y=np.array([{"a": 1}] * 60, dtype=object))
        assert "Python objects" in refused(path).detail

    def test_an_array_that_declares_more_than_it_holds(self, tmp_path):
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            head, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 6)}
        )
        with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
            archive.writestr("x.npy", head.getvalue() + b"\0" * 64)
        assert "declares" in refused(tmp_path / "d.npz").detail

    def test_an_archive_that_explodes_is_refused_before_it_is_read(self, tmp_path, monkeypatch):
        path = tmp_path / "d.npz"
        np.savez_compressed(path, x=np.zeros((100_000, 6), np.float32), y=np.arange(100_000) % 3)
        monkeypatch.setattr(npz_module, "MAX_DECLARED_BYTES", 1_000_000)
        assert "at most 1,000,000" in refused(path).detail

    def test_a_preprocessing_field_that_is_not_known(self, tmp_path):
        path = write(tmp_path / "d.npz", x=X, y=Y)
        with pytest.raises(InvalidRequest) as caught:
            load_splits(path, [ROWS], seed=0, preprocessing={"sclae": 2})
        assert caught.value.pointer == "#/preprocessing/sclae"

    def test_too_few_rows_for_three_parts(self, tmp_path):
        assert "too few" in refused(write(tmp_path / "d.npz", x=X[:2])).detail


def columns():
    return {f"f{i}": X[:, i] for i in range(6)}


def write_table(path, columns):
    table = pa.table(columns)
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        pyarrow.parquet.write_table(table, path)
    return path
