"""A limit on latency: what it may cost is asked of the runtime, and the candidate that comes back is timed."""

import numpy as np
import pytest
import torch
from torch import nn

import spectral_engine as se
from spectral_engine.cost.blocks import grid_of
from spectral_engine.cost.budget import Budget, Cost
from spectral_engine.cost.latency_budget import LatencyProbe, macs_in_time
from spectral_engine.data.split import Split
from spectral_engine.errors import TargetInfeasible
from spectral_engine.graph.coupling import couple
from spectral_engine.judging.verdict import judge
from spectral_engine.measure.latency import measure_latency
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.records.target import Limit
from tests.support.digits import save_digits
from tests.support.task_nets import export

pytestmark = pytest.mark.measured_in_full


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("wide")
    torch.manual_seed(0)
    wide = nn.Sequential(
        nn.Linear(64, 800), nn.ReLU(), nn.Linear(800, 800), nn.ReLU(), nn.Linear(800, 10)
    )
    export(wide, (torch.zeros(1, 64),), path / "wide.onnx", ["x"], ("logits",))
    save_digits(path / "digits.npz")
    return path


def compress(folder, limit):
    recipe = {
        "target": {"max_latency_ms": limit},
        "training": {"epochs": 1},
        "prune": {"candidates": 2},
        "allow_poor_original": True,  # what it knows plays no part in its speed
    }
    return se.compress(folder / "wide.onnx", folder / "digits.npz", recipe)


def test_the_model_that_comes_back_answers_in_the_share_of_time_that_is_asked_for(folder):
    result = compress(folder, 0.5)
    entry = result.chosen.entry
    (before, *_), (after, *_) = result.report.data.baseline.latency, entry.measurement.latency
    assert after.batch_size == before.batch_size == 1
    assert (after.median_ms <= 0.5 * before.median_ms) == (result.outcome == "target_met")
    assert result.outcome == "target_met"
    assert entry.measurement.macs > 0.02 * result.report.data.baseline.macs
    assert all(candidate.entry.measurement.latency for candidate in result.candidates)


def test_a_time_that_no_cut_can_meet_is_refused_before_training(folder):
    with pytest.raises(
        TargetInfeasible, match="even when every node that can go is gone"
    ) as caught:
        compress(folder, 0.001)
    assert caught.value.pointer == "#/recipe/target/max_latency_ms"
    told = se.analyze(folder / "wide.onnx", {"max_latency_ms": 0.001}).target
    assert not told.feasible


@pytest.mark.parametrize(
    ("written", "feasible", "named"),
    [
        (1000.0, True, ""),
        ({"ms": 1000}, True, ""),
        ({"ms": 1e-6}, False, "allows 1e-06 ms"),  # a nanosecond
        ("0.1%", False, "allows 0.001 of the model's own time"),
    ],
)
def test_milliseconds_are_told_from_a_share_by_how_they_are_written(
    folder, written, feasible, named
):
    told = se.analyze(folder / "wide.onnx", {"max_latency_ms": written}).target
    assert told.feasible is feasible
    assert named in told.reason


def test_a_time_under_a_millisecond_can_be_asked_for_and_the_report_repeats_it(folder):
    rows = Split({"x": np.zeros((1, 64), np.float32)}, None)
    timed = measure_latency({"it": folder / "wide.onnx"}, rows, batch_sizes=(1,), seconds=1.0)
    half = timed["it"][0].median_ms / 2
    assert half < 1  # else it would be no such time
    result = compress(folder, {"ms": half})
    assert result.report.data.recipe["target"]["max_latency_ms"] == {"ms": half}
    after = result.chosen.entry.measurement.latency[0].median_ms
    assert (after <= half) == (result.outcome == "target_met")
    assert result.chosen.entry.measurement.macs < result.report.data.baseline.macs


def test_a_model_that_is_fast_enough_may_stay_as_wide_as_it_is(folder):
    coupling = couple(se.load(folder / "wide.onnx"))
    rows = Split({"x": np.zeros((1, 64), np.float32)}, None)
    watch = LatencyProbe(
        OpenedModel(folder / "wide.onnx"),
        coupling,
        grid_of(coupling, 1),
        4,
        Limit(1000.0, "ms"),
        rows,
    )
    assert macs_in_time(watch, None) == coupling.macs()


def test_what_was_found_is_kept_for_a_job_that_resumes(folder, tmp_path):
    coupling = couple(se.load(folder / "wide.onnx"))
    rows = Split({"x": np.zeros((1, 64), np.float32)}, None)
    kept = tmp_path / "in-time.json"
    macs = macs_in_time(
        LatencyProbe(
            OpenedModel(folder / "wide.onnx"),
            coupling,
            grid_of(coupling, 1),
            4,
            Limit(0.5),
            rows,
        ),
        kept,
    )
    gone = LatencyProbe(
        OpenedModel(folder / "gone.onnx"), coupling, grid_of(coupling, 1), 4, Limit(0.5), rows
    )
    assert macs_in_time(gone, kept) == macs


def test_a_candidate_that_is_too_slow_is_said_to_be():
    cost, start = Cost(5, 5, 5, latency_ms=2.5), Cost(9, 9, 9)
    verdict = judge(cost, start, Budget({"latency_ms": 2.0}), 0.0, None)
    assert (verdict.outcome, verdict.binding) == ("target_not_met", "max_latency_ms")
    assert verdict.reason == "the candidate takes 2.5 ms for a row, and 2 ms are allowed"
