"""Answers of each row are those that onnxruntime gives for it alone, wherever rows lie in what the model takes."""

import numpy as np
import onnxruntime
import pytest
import torch

from examples.specimens import row_nets
from spectral_engine.data import Split
from spectral_engine.graph.module import OnnxModule
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.preparation.in_rows import in_rows

ROWS = 7
RANDOM = np.random.default_rng(3)


def floats(*shape):
    return RANDOM.standard_normal((ROWS, *shape)).astype(np.float32)


# Net, rows by input, and what turns one row of each into what the model takes, and its answer into the row's.
CASES = {
    "time major": (row_nets.time_major, {"x": floats(20, 8)}, {"x": 0}, 1),
    "steps first": (row_nets.steps_first, {"x": floats(20, 8)}, {"x": 1}, 1),
    "sample rate": (row_nets.sample_rate, {"x": floats(8), "rate": np.full(ROWS, 2)}, {"x": 0}, 0),
    "sample rates": (
        row_nets.sample_rate,
        {"x": floats(8), "rate": np.arange(ROWS) + 1},
        {"x": 0},
        0,
    ),
    "state": (row_nets.recurrent, {"x": floats(8), "h": floats(1, 16)}, {"x": 0, "h": 1}, 0),
    "frozen row": (row_nets.frozen_row, {"x": floats(8)}, {"x": 0}, 0),
    "branching row": (row_nets.branching_row, {"x": floats(8) + 0.5}, {"x": 0}, 0),
    "no rows": (row_nets.no_rows, {"x": floats(8)}, {}, None),
    "one image": (row_nets.one_image, {"x": floats(3, 8, 8)}, {}, None),
    "answer a step": (
        row_nets.answer_a_step,
        {"x": RANDOM.integers(0, 20, (ROWS, 12))},
        {"x": 0},
        None,
    ),
    "flat answers": (row_nets.flat_answers, {"x": floats(5, 8)}, {"x": 0}, None),
    "mixing": (row_nets.mixing, {"x": floats(8)}, {"x": 0}, 0),
}
WHOLE = {"no rows", "one image"}


def one_by_one(model, rows, axes, out):
    session = onnxruntime.InferenceSession(model)
    answers = []
    for row in range(ROWS):
        feeds = {
            name: np.expand_dims(array[row], axes[name]) if name in axes else np.asarray(array[row])
            for name, array in rows.items()
        }
        answer = session.run(["y"], feeds)[0]
        answers.append(answer if out is None else answer.take(0, out))
    return np.stack(answers)


def laid(model, split) -> OnnxModule:
    original = OpenedModel(model)
    return in_rows(original.module(), original, split)


def split_of(name, rows):
    return Split(rows, None, dict.fromkeys(rows) if name in WHOLE else {})


@pytest.mark.parametrize("name", CASES)
def test_rows_are_answered_as_each_is_by_itself(name):
    make, rows, axes, out = CASES[name]
    expected = one_by_one(make(), rows, axes, out)

    answers = OpenedModel(make()).runner.predict(split_of(name, rows), batch_size=3)

    np.testing.assert_allclose(answers, expected, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_the_module_that_trains_answers_the_same(name):
    make, rows, axes, out = CASES[name]
    expected = one_by_one(make(), rows, axes, out)

    module = laid(make(), split_of(name, rows))
    with torch.no_grad():
        answers = module.compute({n: torch.from_numpy(array) for n, array in rows.items()})["y"]

    np.testing.assert_allclose(answers.numpy(), expected, atol=1e-5)


def test_frozen_files_train_in_batches_where_their_reshapes_allow_it():
    make, rows, _, _ = CASES["frozen row"]
    assert laid(make(), Split(rows, None)).rows.at_once is None


@pytest.mark.parametrize("name", ["branching row", "mixing", "no rows", "sample rates"])
def test_rows_that_do_not_run_together_run_one_at_a_time(name):
    make, rows, _, _ = CASES[name]
    assert laid(make(), split_of(name, rows)).rows.at_once == 1
