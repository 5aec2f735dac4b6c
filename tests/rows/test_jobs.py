"""Whole jobs on models whose rows lie elsewhere, and data sets as people hold them."""

import numpy as np
import onnxruntime
import pytest

import spectral_engine as se
from examples.specimens import row_nets
from spectral_engine.errors import DatasetMismatch, InvalidRequest

ROWS = 120
RECIPE = {
    "target": {"keep_nodes": 0.5},
    "training": {"epochs": 2, "learning_rate": 1e-3, "swap_noise": 0.0, "batch_size": 32},
    "prune": {"candidates": 1},
    "seed": 1,
}
RANDOM = np.random.default_rng(5)


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def job(folder, model, arrays, **facts):
    np.savez(folder / "data.npz", **arrays)
    result = se.compress(model, folder / "data.npz", RECIPE, **facts)
    result.chosen.save(folder / "out.onnx")
    entry = result.report.data.chosen_candidate()
    assert entry.exactness.max_abs_difference <= 1e-5
    assert entry.measurement.params < result.report.data.baseline.params
    return onnxruntime.InferenceSession(str(folder / "out.onnx"))


X, IMAGES = floats(ROWS, 8), floats(ROWS, 3, 8, 8)
STEPS = floats(ROWS, 20, 8)
STEP_CLASSES = (
    onnxruntime.InferenceSession(row_nets.steps_first())
    .run(["y"], {"x": STEPS.swapaxes(0, 1)})[0]
    .argmax(-1)
    .swapaxes(0, 1)  # [rows, steps]
)
JOBS = {
    "time major": (row_nets.time_major, {"x": STEPS}),
    "steps first, rows first in the file": (row_nets.steps_first, {"x": STEPS, "y": STEP_CLASSES}),
    "steps first, as the model takes them": (
        row_nets.steps_first,
        {"x": STEPS.swapaxes(0, 1), "y": STEP_CLASSES},
    ),
    "sample rate, given once": (row_nets.sample_rate, {"x": X, "rate": np.array(2)}),
    "sample rate, given for each row": (row_nets.sample_rate, {"x": X, "rate": np.full(ROWS, 2)}),
    "state, as the model takes it": (row_nets.recurrent, {"x": X, "h": floats(1, ROWS, 16)}),
    "state, rows first": (row_nets.recurrent, {"x": X, "h": floats(ROWS, 1, 16)}),
    "state, not given": (row_nets.recurrent, {"x": X}),
    "frozen row": (row_nets.frozen_row, {"x": X}),
    "branching row": (row_nets.branching_row, {"x": X}),
    "no rows": (row_nets.no_rows, {"x": X}),
    "one image": (row_nets.one_image, {"x": IMAGES}),
    "answer a step": (row_nets.answer_a_step, {"x": RANDOM.integers(0, 20, (ROWS, 12))}),
    "flat answers": (row_nets.flat_answers, {"x": floats(ROWS, 5, 8)}),
    "mixing": (row_nets.mixing, {"x": X}),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_narrows_and_keeps_what_the_model_takes_and_answers(name, tmp_path):
    make, arrays = JOBS[name]
    before, after = onnxruntime.InferenceSession(make()), job(tmp_path, make(), arrays)
    for old, new in (
        (before.get_inputs(), after.get_inputs()),
        (before.get_outputs(), after.get_outputs()),
    ):
        assert [(v.name, v.type, v.shape) for v in new] == [(v.name, v.type, v.shape) for v in old]


def test_a_state_that_is_not_given_starts_from_zeros_and_the_report_says_so(tmp_path):
    np.savez(tmp_path / "data.npz", x=X)
    notes = se.check(row_nets.recurrent(), tmp_path / "data.npz").data.notes
    assert "state 'h' is not in the file, and starts from zeros in every row" in notes


def test_labels_go_with_the_rows_of_steps_first(tmp_path):
    np.savez(tmp_path / "data.npz", x=STEPS, y=STEP_CLASSES)

    check = se.check(row_nets.steps_first(), tmp_path / "data.npz")

    assert check.meaning.task == "classification"
    assert check.original.value == 1.0


@pytest.mark.parametrize("said", [1, {"x": 1}])
def test_the_request_says_where_rows_lie_that_no_name_tells(said, tmp_path):
    """Both axes are free and the rows' one is not called so: without labels nothing tells it."""
    model = row_nets.net(
        """g (float[first, second, 8] x) => (float[first, second, 3] y) {
            a = MatMul(x, w1) c = Add(a, b1) r = Relu(c) g = MatMul(r, w2) y = Add(g, b2)
        }""",
        row_nets.MLP,
    )
    np.savez(tmp_path / "data.npz", x=STEPS.swapaxes(0, 1))

    check = se.check(model, tmp_path / "data.npz", rows_axis=said)

    assert check.data.train_rows + check.data.validation_rows + check.data.test_rows == ROWS


def test_an_input_may_be_said_to_be_a_whole_sample_in_each_row(tmp_path):
    """A net over the nodes of one graph, whose answers depend on one another."""
    model = row_nets.net(
        """g (float[nodes, 8] x) => (float[nodes, 3] y) {
            a = Gemm(x, w1, b1) r = Relu(a) m = ReduceMean<axes: ints = [0], keepdims: int = 1>(r)
            s = Add(r, m) y = Gemm(s, w2, b2)
        }""",
        row_nets.MLP,
    )
    with pytest.raises(DatasetMismatch, match=r'rows_axis \{"x": null\}'):
        job(tmp_path, model, {"x": STEPS})
    job(tmp_path, model, {"x": STEPS}, rows_axis={"x": None})


def test_what_is_said_wrongly_is_refused_by_name(tmp_path):
    np.savez(tmp_path / "data.npz", x=X)
    for said, pointer in (
        ({"z": 1}, "#/rows_axis/z"),
        ({"x": 5}, "#/rows_axis/x"),
        ("first", "#/rows_axis"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            se.check(row_nets.frozen_row(), tmp_path / "data.npz", rows_axis=said)
        assert caught.value.pointer == pointer


def test_an_input_without_rows_that_is_missing_is_asked_for(tmp_path):
    np.savez(tmp_path / "data.npz", x=X)
    with pytest.raises(DatasetMismatch, match="'rate' needs an array 'rate'"):
        se.check(row_nets.sample_rate(), tmp_path / "data.npz")
