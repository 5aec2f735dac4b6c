"""A table of numbers whose label nothing but its place tells: the model says at which end it stands."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.linear_model import LinearRegression, RidgeClassifier
from sklearn.metrics import accuracy_score, r2_score

from spectral_engine.errors import DatasetMismatch
from spectral_engine.preparation.prepare import prepare
from spectral_engine.records.recipe import Recipe

DIGITS, IRIS, DIABETES = load_digits(), load_iris(), load_diabetes(scaled=False)


def as_onnx(fitted) -> bytes:
    """A linear model of scikit-learn as one Gemm."""
    weights = np.atleast_2d(fitted.coef_).astype(np.float32)
    bias = np.atleast_1d(fitted.intercept_).astype(np.float32)
    answers, features = weights.shape
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["answers"], transB=1)],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", features])],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, ["n", answers])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


INKED = DIGITS.data[:, DIGITS.data.std(axis=0) > 0]  # a column that never changes is no label
DATA = {
    "digits": (INKED, DIGITS.target, RidgeClassifier(), accuracy_score),
    "iris": (IRIS.data, IRIS.target, RidgeClassifier(), accuracy_score),
    "diabetes": (DIABETES.data, DIABETES.target, LinearRegression(), r2_score),
}


def write(path, x, y, first, header=""):
    columns = [y[:, None], x] if first else [x, y[:, None]]
    np.savetxt(path, np.hstack(columns), delimiter=",", fmt="%.10g", header=header, comments="")


def understood(path, content, **recipe):
    return prepare(content, path, Recipe(**recipe))


@pytest.mark.parametrize("header", ["no header", "plain names"])
@pytest.mark.parametrize("first", [True, False], ids=["label first", "label last"])
@pytest.mark.parametrize("data", DATA)
def test_the_label_is_found_at_either_end(tmp_path, data, first, header):
    x, y, kind, score = DATA[data]
    fitted = kind.fit(x, y)
    names = ",".join(f"v{n}" for n in range(x.shape[1] + 1)) if header == "plain names" else ""
    write(tmp_path / "d.csv", x, y, first, names)

    setup = understood(tmp_path / "d.csv", as_onnx(fitted))

    start = "v" if names else "column_"
    label = f"{start}{0 if first else x.shape[1]}"
    assert setup.splits.summary.label == label
    note = next(note for note in setup.splits.summary.notes if "is the label" in note)
    assert note.startswith(f"column {label!r} is the label")
    rows = setup.splits.validation.inputs["x"]
    indices = [int(np.flatnonzero(np.isclose(x, row, rtol=1e-5).all(axis=1))[0]) for row in rows]
    np.testing.assert_allclose(setup.splits.validation.labels.reshape(-1), y[indices], rtol=1e-6)
    measured = setup.evaluation.validation_metric(setup.original)
    assert measured == pytest.approx(score(y[indices], fitted.predict(x[indices])), abs=1e-4)


def test_a_last_column_that_never_changes_is_no_label(tmp_path):
    """As the last pixel of MNIST, which is black in every row."""
    x = np.hstack([DIGITS.data, np.zeros((len(DIGITS.data), 1))])
    write(tmp_path / "d.csv", x, DIGITS.target, first=True)
    fitted = RidgeClassifier().fit(x, DIGITS.target)
    assert understood(tmp_path / "d.csv", as_onnx(fitted)).splits.summary.label == "column_0"


def test_an_original_that_knows_neither_is_refused_with_the_columns(tmp_path):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(600, 5)), random.integers(0, 3, 600)
    write(tmp_path / "d.csv", x, y, first=True)
    stranger = RidgeClassifier().fit(random.normal(size=(600, 5)), y)
    with pytest.raises(DatasetMismatch, match="pass --label COLUMN") as refused:
        understood(tmp_path / "d.csv", as_onnx(stranger))
    assert "such as 'column_0', which has few values" in refused.value.detail


def test_two_columns_of_which_the_original_knows_as_much_are_refused_until_one_is_named(tmp_path):
    x = np.random.default_rng(0).normal(size=(600, 3))
    both = x[:, 1] + 0.1 * np.random.default_rng(1).normal(size=(2, 600))
    weights = LinearRegression().fit(x, x[:, 1])
    weights.coef_, weights.intercept_ = np.array([0.0, 0.5, 0.5]), np.zeros(1)
    same = np.column_stack([both[0], x[:, 1], x[:, 1] + 0.01 * x[:, 0], both[1]])
    np.savetxt(tmp_path / "d.csv", same, delimiter=",")
    content = as_onnx(weights)
    with pytest.raises(DatasetMismatch, match=r"may be the label.* --label COLUMN") as refused:
        understood(tmp_path / "d.csv", content)
    assert refused.value.pointer == "#/label"
    for label in ("column_0", "column_3"):
        setup = understood(tmp_path / "d.csv", content, labels={"column": label})
        assert setup.splits.summary.label == label
    assert understood(tmp_path / "d.csv", content, allow_poor_original=True).splits.doubt


def test_a_usual_name_is_taken_at_its_word(tmp_path):
    x, y = DATA["iris"][:2]
    fitted = RidgeClassifier().fit(x, y)
    write(tmp_path / "d.csv", x, y, first=True, header="y,a,b,c,d")
    setup = understood(tmp_path / "d.csv", as_onnx(fitted))
    assert setup.splits.summary.label == "y"
    assert not any("is the label" in note for note in setup.splits.summary.notes)
