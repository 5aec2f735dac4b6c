"""What labels mean is found by asking the model: each case is a model that knows, and labels as people write them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.metrics import accuracy_score, r2_score

from spectral_engine.errors import DatasetMismatch
from spectral_engine.preparation.prepare import prepare
from spectral_engine.records.recipe import Recipe

RANDOM = np.random.default_rng(0)
ROWS, FEATURES, CLASSES = 600, 6, 4
CENTRES = RANDOM.normal(size=(CLASSES, FEATURES)) * 1.6
Y = RANDOM.integers(0, CLASSES, ROWS)
X = (CENTRES[Y] + RANDOM.normal(size=(ROWS, FEATURES))).astype(np.float32)
NAMES = np.array(["zebra", "ant", "mouse", "bee"])
HEADS = {"logits": [], "softmax": ["Softmax"], "log-softmax": ["LogSoftmax"]}


def model(weights, bias, ends=(), axes=None, metadata=None) -> bytes:
    """A linear layer behind which the given operators stand."""
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["v0"])]
    for number, end in enumerate(ends):
        inputs, more = ([f"v{number}", "shape"], {}) if end == "Reshape" else ([f"v{number}"], {})
        more = {"axis": 1} if end.endswith("Softmax") else more
        nodes.append(helper.make_node(end, inputs, [f"v{number + 1}"], **more))
    nodes[-1].output[0] = "answers"
    initializers = [
        numpy_helper.from_array(weights.astype(np.float32), "w"),
        numpy_helper.from_array(bias.astype(np.float32), "b"),
    ]
    shape = ["n", weights.shape[1]]
    if axes is not None:
        initializers.append(numpy_helper.from_array(np.array([0, *axes], np.int64), "shape"))
        shape = ["n", *axes]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, shape)],
        initializers,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(made, metadata or {})
    onnx.checker.check_model(made)
    return made.SerializeToString()


def classifier(head="logits", **more) -> bytes:
    """The best classifier there is for clouds around known centres."""
    return model(CENTRES.T, -0.5 * (CENTRES**2).sum(1), HEADS[head], **more)


def truth() -> np.ndarray:
    return (X @ CENTRES.T - 0.5 * (CENTRES**2).sum(1)).argmax(1)


def understood(tmp_path, content, y, x=X, **recipe):
    np.savez(tmp_path / "d.npz", x=x, **({} if y is None else {"y": y}))
    return prepare(content, tmp_path / "d.npz", Recipe(**recipe), label=None, preprocessing=None)


def measured(setup) -> float:
    """The original's metric on validation rows, as the product measures it."""
    return setup.evaluation.validation_metric(setup.original)


def known(setup, answers) -> np.ndarray:
    """Answers of an outside model for the validation rows, found by the rows themselves."""
    index_of = {row.tobytes(): index for index, row in enumerate(X)}
    return answers[[index_of[row.tobytes()] for row in setup.splits.validation.inputs["x"]]]


CLASS_LABELS = {
    "numbers": Y,
    "floats": Y.astype(np.float32),
    "from one on": Y + 1,
    "tens": Y * 10,
    "a column": Y[:, None],
    "words out of order": NAMES[Y],
    "digits as words": Y.astype(str),
    "one-hot integers": np.eye(CLASSES, dtype=np.int64)[Y],
    "one-hot floats": np.eye(CLASSES, dtype=np.float32)[Y],
    "one-hot booleans": np.eye(CLASSES, dtype=bool)[Y],
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("form", CLASS_LABELS)
def test_class_labels_in_every_form_give_the_same_accuracy(tmp_path, head, form):
    setup = understood(tmp_path, classifier(head), CLASS_LABELS[form])
    assert setup.meaning.task == "classification"
    assert setup.evaluation.metric == "accuracy"
    expected = accuracy_score(known(setup, Y), known(setup, truth()))
    assert measured(setup) == pytest.approx(expected)


TWO = (X[:, 0] > 0).astype(np.int64)
TWO_LABELS = {
    "0 and 1": TWO,
    "1 and 2": TWO + 1,
    "0 and 255": TWO * 255,
    "5 and 7": 5 + 2 * TWO,
    "-1 and 1": 2 * TWO - 1,
    "booleans": TWO.astype(bool),
    "floats": TWO.astype(np.float32),
    "words": np.array(["no", "yes"])[TWO],
    "words out of order": np.array(["true", "false"])[TWO],
    "a column of floats": TWO.astype(np.float32)[:, None],
}
FLIPPED = RANDOM.random(ROWS) < 0.05


@pytest.mark.parametrize("end", ["logit", "Sigmoid", "Tanh"])
@pytest.mark.parametrize("form", TWO_LABELS)
def test_one_score_for_yes_takes_two_values_of_any_kind(tmp_path, end, form):
    weights = np.eye(FEATURES)[:, :1] * 3
    content = model(weights, np.zeros(1), [] if end == "logit" else [end])
    values = np.unique(TWO_LABELS[form])
    noisy = TWO_LABELS[form].copy()
    turned = np.where(noisy == values[0], values[1], values[0])
    noisy[FLIPPED] = turned[FLIPPED]
    setup = understood(tmp_path, content, noisy)
    assert setup.meaning.task == "binary"
    wrong = known(setup, FLIPPED.astype(int))
    assert measured(setup) == pytest.approx(1 - wrong.mean())


@pytest.mark.parametrize("dtype", [np.int64, np.float32, bool])
def test_several_yes_or_no_are_multi_label(tmp_path, dtype):
    weights = RANDOM.normal(size=(FEATURES, 5))
    many = X @ weights > 0
    setup = understood(tmp_path, model(weights, np.zeros(5)), many.astype(dtype))
    assert setup.meaning.task == "multilabel"
    assert measured(setup) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("columns", [1, 3])
def test_numbers_are_judged_by_r2(tmp_path, columns):
    weights = RANDOM.normal(size=(FEATURES, columns))
    targets = X @ weights + RANDOM.normal(size=(ROWS, columns))
    setup = understood(tmp_path, model(weights, np.zeros(columns)), targets.astype(np.float32))
    assert setup.meaning.task == "regression"
    expected = r2_score(known(setup, targets), known(setup, X @ weights))
    assert measured(setup) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("shape", [(5,), (1,), (2,)])
def test_targets_that_the_model_does_not_answer_are_refused_with_both_shapes(tmp_path, shape):
    content = model(RANDOM.normal(size=(FEATURES, 4)), np.zeros(4))
    targets = RANDOM.normal(size=(ROWS, *shape)).astype(np.float32)
    with pytest.raises(DatasetMismatch) as refused:
        understood(tmp_path, content, targets)
    assert refused.value.pointer == "#/y"
    assert "4 columns" in refused.value.detail


def test_masks_with_an_axis_of_one_and_a_value_to_ignore(tmp_path):
    weights = RANDOM.normal(size=(FEATURES, 12))
    content = model(weights, np.zeros(12), ["Reshape"], axes=(3, 2, 2))
    answers = (X @ weights).reshape(ROWS, 3, 2, 2).argmax(1)
    for mask in (answers, answers[:, None], answers[..., None]):
        setup = understood(tmp_path, content, mask)
        assert setup.meaning.layout.class_axis == 1
        assert measured(setup) == pytest.approx(1.0, abs=2e-3)
    ignored = np.where(RANDOM.random(answers.shape) < 0.3, 255, answers)
    setup = understood(tmp_path, content, ignored)
    assert setup.meaning.ignore == 255
    assert set(np.unique(setup.splits.train.labels)) == {-1, 0, 1, 2}


STEPS = 5
STEP_WEIGHTS = RANDOM.normal(size=(FEATURES, STEPS * CLASSES))
LENGTHS = RANDOM.integers(2, STEPS + 1, ROWS)
PADDED = np.arange(STEPS) >= LENGTHS[:, None]


def steps(end=()) -> bytes:
    """Classes for each of five steps [n, t, k]."""
    return model(STEP_WEIGHTS, np.zeros(STEPS * CLASSES), ["Reshape", *end], (STEPS, CLASSES))


def stepwise() -> np.ndarray:
    """The right class of each step, with a tenth of them wrong."""
    right = (X @ STEP_WEIGHTS).reshape(ROWS, STEPS, CLASSES).argmax(2)
    return np.where(RANDOM.random(right.shape) < 0.1, (right + 1) % CLASSES, right)


def test_one_hot_steps_behind_the_end_of_a_row_are_not_counted(tmp_path):
    labels = stepwise()
    hot = np.eye(CLASSES)[labels] * ~PADDED[..., None]
    plain = understood(tmp_path, steps(), np.where(PADDED, -1, labels))
    setup = understood(tmp_path, steps(), hot.astype(np.float32))
    assert setup.meaning.reading == "one-hot classes per place"
    assert measured(setup) == pytest.approx(measured(plain))


def test_one_hot_places_without_a_class_are_not_counted_where_answers_exclude_one_another(tmp_path):
    labels, empty = Y.copy(), RANDOM.random(ROWS) < 0.3
    hot = np.eye(CLASSES)[labels] * ~empty[:, None]
    setup = understood(tmp_path, classifier("softmax"), hot)
    assert setup.meaning.task == "classification"
    assert sum(part.rows for part in setup.splits.parts) == (~empty).sum()
    assert (setup.splits.train.labels >= 0).all()


STEP_PAIRS = {
    "-1 behind the end": (0, 1, -1, {}),
    "-100 behind the end": (0, 1, -100, {}),
    "255 behind the end": (0, 1, 255, {}),
    "1 and 2": (1, 2, -1, {}),
    "0 and 255": (0, 255, -1, {}),
    "words": ("no", "yes", "PAD", {"labels": {"ignore": "PAD"}}),
    "a number that is said": (0, 1, 7, {"labels": {"ignore": 7}}),
    "the task that is said": (0, 1, -1, {"labels": {"task": "binary"}}),
}


@pytest.mark.parametrize("form", STEP_PAIRS)
def test_yes_or_no_for_each_step_takes_values_that_are_not_counted(tmp_path, form):
    no, yes, nothing, recipe = STEP_PAIRS[form]
    weights = RANDOM.normal(size=(FEATURES, STEPS))
    right = X @ weights > 0
    labels = np.where(RANDOM.random(right.shape) < 0.1, ~right, right)
    values = np.array([no, yes, nothing])
    written = values[np.where(PADDED, 2, labels.astype(int))]
    setup = understood(tmp_path, model(weights, np.zeros(STEPS)), written, **recipe)
    assert setup.meaning.layout.kind == "scores"
    counted = known(setup, ~PADDED)
    assert measured(setup) == pytest.approx(
        (known(setup, right == labels)[counted]).mean(), abs=1e-6
    )


def test_words_for_steps_take_a_word_that_is_not_counted(tmp_path):
    labels = stepwise()
    plain = understood(tmp_path, steps(), np.where(PADDED, -1, labels))
    words = np.where(PADDED, "PAD", NAMES[labels])
    with pytest.raises(DatasetMismatch, match=r"labels\.ignore"):
        understood(tmp_path, steps(), words)
    setup = understood(tmp_path, steps(), words, labels={"ignore": "PAD"})
    assert setup.meaning.ignore == "PAD"
    assert measured(setup) == pytest.approx(measured(plain))


def test_grey_masks_are_refused_with_their_threshold(tmp_path):
    weights = RANDOM.normal(size=(FEATURES, 12))
    content = model(weights, np.zeros(12), ["Reshape"], axes=(1, 3, 4))
    yes = (X @ weights > 0).reshape(ROWS, 3, 4)
    soft = np.where(yes, RANDOM.integers(160, 256, yes.shape), RANDOM.integers(0, 90, yes.shape))
    with pytest.raises(DatasetMismatch, match=r"soft edges.*y > 127\.5"):
        understood(tmp_path, content, soft.astype(np.uint8))


def test_the_columns_in_other_units_are_named(tmp_path):
    weights = RANDOM.normal(size=(FEATURES, 3))
    targets = X @ weights
    targets[:, 1] *= 1000
    with pytest.raises(DatasetMismatch, match="in column 1") as refused:
        understood(tmp_path, model(weights, np.zeros(3)), targets.astype(np.float32))
    assert "in column 0" not in refused.value.detail


REFUSED = {
    "numbers as texts": ((X[:, 0] * 2).astype(str), "numbers written as texts"),
    "columns that name no one class": (X[:, :4] * 3, "single 1 among zeros"),
    "a step without a value": (np.where(PADDED[:, :4], np.nan, 1.0), "write −1"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_labels_that_cannot_be_read_are_refused_with_the_remedy(tmp_path, kind):
    labels, said = REFUSED[kind]
    with pytest.raises(DatasetMismatch, match=said):
        understood(tmp_path, classifier(), labels, task="classification")


def test_a_value_that_is_named_as_a_class_is_counted_whatever_it_is(tmp_path):
    weights = RANDOM.normal(size=(FEATURES, 3))
    right = (X @ weights).argmax(1) - 1
    for recipe in ({}, {"labels": {"order": "sorted"}}, {"labels": {"classes": [-1, 0, 1]}}):
        setup = understood(tmp_path, model(weights, np.zeros(3)), right, **recipe)
        assert setup.meaning.class_names == ("-1", "0", "1")
        assert sum(part.rows for part in setup.splits.parts) == ROWS
        assert measured(setup) == pytest.approx(1.0)


def test_minus_one_beside_all_classes_is_no_class(tmp_path):
    unlabelled = np.where(RANDOM.random(ROWS) < 0.2, -1, Y)
    setup = understood(tmp_path, classifier(), unlabelled)
    assert setup.meaning.ignore == -1
    assert sum(part.rows for part in setup.splits.parts) == (unlabelled >= 0).sum()


def test_shares_that_the_model_answers_are_numbers(tmp_path):
    weights = RANDOM.normal(size=(FEATURES, CLASSES))
    shares = np.exp(X @ weights)
    shares /= shares.sum(axis=1, keepdims=True)
    setup = understood(tmp_path, model(weights, np.zeros(CLASSES), ["Softmax"]), shares)
    assert (setup.meaning.task, setup.evaluation.metric) == ("regression", "r2")


@pytest.mark.parametrize("head", ["logits", "log-softmax"])
def test_shares_that_another_model_gave_are_classes_beside_scores(tmp_path, head):
    shares = np.exp(X @ CENTRES.T - 0.5 * (CENTRES**2).sum(1))
    shares /= shares.sum(axis=1, keepdims=True)
    setup = understood(tmp_path, classifier(head), shares)
    assert setup.meaning.task == "classification"
    assert measured(setup) == pytest.approx(1.0)


def test_columns_of_a_sigmoid_stay_apart_although_hardly_a_row_has_two(tmp_path):
    """A row without any is an answer there, and is not left out."""
    hot = np.eye(CLASSES, dtype=int)[Y] * (RANDOM.random(ROWS) < 0.95)[:, None]
    content = model(CENTRES.T * 2, -((CENTRES**2).sum(1)) - 1, ["Sigmoid"])
    setup = understood(tmp_path, content, hot)
    assert setup.meaning.task == "multilabel"
    assert sum(part.rows for part in setup.splits.parts) == ROWS


def test_columns_of_two_odd_numbers_are_numbers_where_the_model_answers_them(tmp_path):
    targets = np.where(RANDOM.random((ROWS, 3)) < 0.5, 3.0, 23.0)
    rows = np.concatenate([targets, X[:, 3:]], axis=1).astype(np.float32)
    setup = understood(tmp_path, model(np.eye(FEATURES)[:, :3], np.zeros(3)), targets, x=rows)
    assert setup.meaning.task == "regression"


class TestOrder:
    def test_names_in_the_file_say_it(self, tmp_path):
        content = classifier(metadata={"names": str(dict(enumerate(NAMES.tolist())))})
        setup = understood(tmp_path, content, NAMES[Y])
        assert setup.meaning.order == "model"
        assert setup.meaning.class_names == tuple(NAMES)

    def test_the_originals_answers_say_it_where_nothing_else_does(self, tmp_path):
        setup = understood(tmp_path, classifier(), NAMES[Y])
        assert setup.meaning.order == "matched"
        assert setup.meaning.class_names == tuple(NAMES)

    def test_the_user_says_it(self, tmp_path):
        setup = understood(tmp_path, classifier(), NAMES[Y], labels={"classes": list(NAMES)})
        assert setup.meaning.order == "given"

    def test_an_order_that_does_not_fit_is_refused(self, tmp_path):
        with pytest.raises(DatasetMismatch, match="zebra"):
            understood(
                tmp_path, classifier(), NAMES[Y], labels={"classes": ["a", "ant", "mouse", "bee"]}
            )

    def test_class_numbers_in_another_order_are_refused_with_the_very_option(self, tmp_path):
        turn = np.array([2, 0, 3, 1])
        with pytest.raises(DatasetMismatch, match="another order") as refused:
            understood(tmp_path, classifier(), turn[Y])
        asked = {"classes": turn.tolist()}
        assert str(asked["classes"]) in refused.value.detail
        setup = understood(tmp_path, classifier(), turn[Y], labels=asked)
        assert measured(setup) == pytest.approx(
            accuracy_score(known(setup, Y), known(setup, truth()))
        )


class TestPoorOriginal:
    def test_labels_without_any_relation_stop_the_job_before_training(self, tmp_path):
        with pytest.raises(DatasetMismatch, match="no better than chance"):
            understood(tmp_path, classifier(), RANDOM.permutation(Y))

    def test_it_goes_on_where_that_is_asked_for_and_says_so(self, tmp_path):
        setup = understood(tmp_path, classifier(), RANDOM.permutation(Y), allow_poor_original=True)
        assert any("chance" in note for note in setup.splits.summary.notes)

    def test_inputs_that_are_not_scaled_are_named_with_the_option(self, tmp_path):
        scale = np.linspace(1, 50, FEATURES)
        raw = (X - X.mean(0)) / X.std(0)
        content = model(
            CENTRES.T * X.std(0)[:, None], X.mean(0) @ CENTRES.T - 0.5 * (CENTRES**2).sum(1)
        )
        assert measured(understood(tmp_path, content, Y, raw.astype(np.float32))) > 0.8
        shifted = (raw * scale + 100).astype(np.float32)
        with pytest.raises(DatasetMismatch, match="standardised") as refused:
            understood(tmp_path, content, Y, shifted)
        assert refused.value.pointer == "#/preprocessing"

    def test_labels_of_one_value_are_refused(self, tmp_path):
        with pytest.raises(DatasetMismatch, match="one value only"):
            understood(tmp_path, classifier(), np.ones(ROWS, np.int64))


class TestWithoutLabels:
    def test_classes_are_compared_by_agreement(self, tmp_path):
        setup = understood(tmp_path, classifier("softmax"), None)
        assert setup.evaluation.metric == "agreement"

    def test_numbers_are_compared_by_r2_to_the_original(self, tmp_path):
        content = model(RANDOM.normal(size=(FEATURES, 1)), np.zeros(1))
        setup = understood(tmp_path, content, None)
        assert setup.evaluation.metric == "r2"

    def test_a_constant_answer_is_refused(self, tmp_path):
        content = model(np.zeros((FEATURES, 3)), np.ones(3))
        with pytest.raises(DatasetMismatch, match="same answer"):
            understood(tmp_path, content, None)


@pytest.mark.parametrize("rows", [1, 2, 4, 6, 12])
def test_too_few_rows_are_refused_by_how_many_are_needed(tmp_path, rows):
    """Words of classes cannot be matched on so few, and what else may be wrong is no matter yet."""
    with pytest.raises(DatasetMismatch, match=r"rows .*are too few.*give [23]0 or more") as refused:
        understood(tmp_path, classifier(), NAMES[Y[:rows]], X[:rows])
    assert len(refused.value.detail) < 250
    assert understood(tmp_path, classifier(), NAMES[Y]).meaning.order == "matched"
