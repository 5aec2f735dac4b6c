"""`compress`: ONNX and data in, narrower ONNX and report out."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest

import spectral_engine as se
from spectral_engine.errors import DatasetMismatch, InvalidRequest, TargetInfeasible
from tests.support.digits import save_all, save_digits, splits, trained

QUICK = {"epochs": 6}


def recipe(**target):
    return se.Recipe(target=target, training=QUICK, prune={"candidates": 3}, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_all(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module", params=["perceptron", "convolutional"])
def result(request, folder):
    target = recipe(keep_nodes=0.4)
    return se.compress(folder / f"{request.param}.onnx", folder / "digits.npz", target)


def accuracy(model: bytes) -> float:
    session = onnxruntime.InferenceSession(model)
    logits = session.run(None, {"x": splits()["x_test"]})[0]
    return float((logits.argmax(1) == splits()["y_test"]).mean())


def test_the_model_that_comes_back_is_narrower_and_still_knows_the_digits(result):
    chosen = result.chosen
    before, after = result.report.data.baseline, chosen.entry.measurement
    assert result.outcome == "target_met"
    assert after.nodes <= 0.4 * before.nodes
    assert after.params < before.params
    assert after.macs < before.macs
    assert after.file_bytes < before.file_bytes
    assert accuracy(chosen.model_bytes) > 0.9


def test_every_figure_of_the_report_is_that_of_the_file(result):
    entry = result.chosen.entry
    assert entry.measurement.metric.value == pytest.approx(accuracy(result.chosen.model_bytes))
    assert entry.measurement.file_bytes == len(result.chosen.model_bytes)
    weights = onnx.load_from_string(result.chosen.model_bytes).graph.initializer
    floats = [w for w in weights if w.data_type == onnx.TensorProto.FLOAT]
    assert entry.measurement.params == sum(int(np.prod(w.dims)) for w in floats)


def test_inputs_and_outputs_keep_names_types_and_free_batch_size(result):
    before = result.report.data.provenance.model_sha256
    session = onnxruntime.InferenceSession(result.chosen.model_bytes)
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [
        ("x", "tensor(float)", ["batch", 64])
    ]
    assert [o.name for o in session.get_outputs()] == ["logits"]
    for batch in (1, 7):
        assert session.run(None, {"x": np.zeros((batch, 64), np.float32)})[0].shape == (batch, 10)
    properties = {
        p.key: p.value for p in onnx.load_from_string(result.chosen.model_bytes).metadata_props
    }
    assert properties["eigenpress.source_sha256"] == before


def test_candidates_run_from_wide_to_narrow_and_each_is_proved_exact(result):
    nodes = [candidate.entry.measurement.nodes for candidate in result.candidates]
    assert nodes == sorted(nodes, reverse=True)
    assert len(set(nodes)) == 3
    for candidate in result.candidates:
        exactness = candidate.entry.exactness
        assert exactness.max_abs_difference <= 1e-5 * max(1.0, exactness.max_abs_output)


def test_what_exceeds_the_budget_says_that_it_was_trained_for_fewer_steps(result):
    entries = [candidate.entry for candidate in result.candidates]
    allowed = 0.4 * result.report.data.baseline.nodes
    exceeding = [entry for entry in entries if entry.measurement.nodes > allowed]
    assert exceeding
    assert all(0 < e.cooling_steps < result.chosen.entry.cooling_steps for e in exceeding)


def test_relevance_speaks_of_every_node_by_its_original_index(result):
    report = result.report.data
    widths = {width.layer: width for width in result.chosen.entry.widths}
    layers = {row.layer for row in report.relevance}
    assert layers
    for layer in layers:
        rows = [row for row in report.relevance if row.layer == layer]
        assert [row.index for row in rows] == list(range(widths[layer].before))
        assert sum(row.kept for row in rows) == widths[layer].after
    assert {row.kept for row in report.relevance} == {True, False}


def test_the_same_seed_gives_the_same_bits(folder):
    runs = [
        se.compress(folder / "perceptron.onnx", folder / "digits.npz", recipe(keep_nodes=0.5))
        for _ in range(2)
    ]
    assert runs[0].chosen.model_bytes == runs[1].chosen.model_bytes


class Stopped(Exception):
    """The process that ran the job is gone."""


@pytest.mark.parametrize("kind", ["perceptron", "convolutional"])
def test_a_run_that_was_stopped_resumes_and_gives_the_same_bits(folder, tmp_path, kind):
    model, data, asked = folder / f"{kind}.onnx", folder / "digits.npz", recipe(keep_nodes=0.5)
    whole = se.compress(model, data, asked)

    for stop_at in (0.3, 0.6):

        def stop(progress, stop_at=stop_at):
            if progress.fraction > stop_at:
                raise Stopped

        with pytest.raises(Stopped):
            se.compress(model, data, asked, stop, tmp_path / "work")
    told = []
    resumed = se.compress(model, data, asked, told.append, tmp_path / "work")
    assert [c.model_bytes for c in resumed.candidates] == [c.model_bytes for c in whole.candidates]
    trained_again = [p.step for p in told if p.stage in {"training", "fine_tuning"}]
    assert min(trained_again) > 0.25 * max(p.total_steps for p in told)


SEVERAL_CUTS = {"target": {"keep_nodes": 0.2}, "training": {"epochs": 4}, "seed": 5}


@pytest.fixture(scope="module")
def whole(folder):
    return se.compress(folder / "perceptron.onnx", folder / "digits.npz", SEVERAL_CUTS)


@pytest.mark.parametrize("candidate", [0, 2, 5])
def test_a_run_that_was_stopped_where_several_cuts_fall_on_one_step_gives_the_same_bits(
    folder, tmp_path, candidate, whole
):
    model, data = folder / "perceptron.onnx", folder / "digits.npz"
    steps: list[int] = []

    def stop(progress):
        if progress.candidate is not None or steps:
            steps.append(progress.candidate.index if progress.candidate else -1)
        if candidate in steps and steps[-1] == -1 and progress.stage == "training":
            raise Stopped

    with pytest.raises(Stopped):
        se.compress(model, data, SEVERAL_CUTS, stop, tmp_path / "work")
    resumed = se.compress(model, data, SEVERAL_CUTS, work_dir=tmp_path / "work")
    assert [c.model_bytes for c in resumed.candidates] == [c.model_bytes for c in whole.candidates]


def test_progress_never_falls_and_announces_candidates_that_are_saved(folder, tmp_path):
    told = []
    result = se.compress(
        folder / "perceptron.onnx",
        folder / "digits.npz",
        recipe(keep_nodes=0.5),
        told.append,
        tmp_path,
    )
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    files = [progress.candidate for progress in told if progress.candidate]
    assert [file.index for file in files] == [0, 1, 2]
    entries = [candidate.entry for candidate in result.candidates]
    drops = [entry.validation_drop for entry in entries]
    assert [file.validation_drop for file in files] == drops
    assert all(file.careful_drop > file.validation_drop for file in files)
    allowed = 0.5 * result.report.data.baseline.nodes
    within = [entry.measurement.nodes <= allowed for entry in entries]
    assert [file.within_budget for file in files] == within
    assert set(within) == {True, False}
    stages = list(dict.fromkeys(progress.stage for progress in told))
    assert stages[0] == "importing"
    assert stages[-1] == "reporting"


def test_a_target_that_no_cut_can_meet_is_refused_before_training(folder):
    told = []
    with pytest.raises(TargetInfeasible) as caught:
        se.compress(
            folder / "perceptron.onnx", folder / "digits.npz", recipe(max_macs=0.001), told.append
        )
    assert caught.value.pointer == "#/recipe/target/max_macs"
    assert all(progress.stage != "training" for progress in told)


@pytest.mark.parametrize("kind", ["perceptron", "convolutional"])
@pytest.mark.parametrize("as_ratio", [True, False])
def test_a_file_has_as_many_bytes_as_are_asked_for_and_hardly_fewer(folder, kind, as_ratio):
    before = (folder / f"{kind}.onnx").stat().st_size
    allowed = 0.4 * before
    asked = recipe(max_bytes=0.4 if as_ratio else allowed)
    result = se.compress(folder / f"{kind}.onnx", folder / "digits.npz", asked)
    assert result.outcome == "target_met"
    assert 0.85 * allowed < len(result.chosen.model_bytes) <= allowed


def test_fewer_bytes_than_a_graph_without_nodes_takes_are_refused_before_training(folder):
    with pytest.raises(TargetInfeasible, match="max_bytes allows 500 bytes") as caught:
        se.compress(folder / "perceptron.onnx", folder / "digits.npz", recipe(max_bytes=500))
    assert caught.value.pointer == "#/recipe/target/max_bytes"


def test_a_drop_that_no_candidate_keeps_is_said_and_the_best_is_given(folder):
    result = se.compress(
        folder / "perceptron.onnx",
        folder / "digits.npz",
        se.Recipe(
            target={"max_metric_drop": 0.0, "keep_nodes": 0.1},
            training={"epochs": 1},
            prune={"candidates": 1},
        ),
    )
    assert result.outcome == "target_not_met"
    assert result.report.data.binding_constraint == "max_metric_drop"
    assert result.chosen.model_bytes


def test_a_floor_that_the_data_can_show_is_met_and_candidates_are_tested_until_one_fails(folder):
    asked = recipe(max_metric_drop=0.1)
    result = se.compress(folder / "perceptron.onnx", folder / "digits.npz", asked)
    assert result.outcome == "target_met"
    tests = [candidate.entry.floor_test for candidate in result.candidates]
    tested = sorted((test for test in tests if test.position), key=lambda test: test.position)
    statuses = [test.status for test in tested]
    shown = statuses.count("shown")
    assert statuses[:shown] == ["shown"] * shown
    assert set(statuses[shown + 1 :]) <= {"not_reached"}
    assert result.chosen.entry.floor_test == tested[shown - 1]
    for test in tested[:shown]:
        assert test.p_value <= 0.05
        assert test.upper_bound <= 0.1


def test_too_few_rows_are_said_to_be_too_few_and_the_best_candidate_is_given(folder, tmp_path):
    few = {f"{kind}_test": splits()[f"{kind}_test"][:40] for kind in "xy"}
    data = save_digits(tmp_path / "few.npz", **few)
    result = se.compress(folder / "perceptron.onnx", data, recipe(max_metric_drop=0.06))
    report, test = result.report.data, result.chosen.entry.floor_test
    assert (result.outcome, report.binding_constraint) == ("target_not_met", "max_metric_drop")
    assert result.chosen.entry.drop.value <= 0.06
    assert "cannot be shown with 40 samples" in report.outcome_reason
    assert test.upper_bound > 0.06
    assert test.rows_needed > 40
    assert f"about {test.rows_needed:,} held-out samples would be needed" in report.outcome_reason


def test_where_no_candidate_keeps_the_floor_the_original_comes_back_as_it_came(folder, tmp_path):
    few = {
        f"{kind}_{part}": splits()[f"{kind}_{part}"][:n]
        for kind in "xy"
        for part, n in (("train", 30), ("val", 200))
    }
    data = save_digits(tmp_path / "few.npz", **few)
    ruined = {"epochs": 1, "learning_rate": 3.0}
    asked = {"target": {"max_metric_drop": 0.0}, "training": ruined, "prune": {"candidates": 1}}
    result = se.compress(folder / "perceptron.onnx", data, asked)
    assert (result.outcome, result.report.data.binding_constraint) == ("no_gain", "max_metric_drop")
    assert "the original is handed back" in result.report.data.outcome_reason
    assert result.chosen.model_bytes == (folder / "perceptron.onnx").read_bytes()
    assert result.chosen.entry.drop.value == 0
    assert not result.chosen.entry.meets_target


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Rows too few to learn anew from at the usual rate, and as many to choose by as there are."""
    arrays = {"x_train": splits()["x_train"][:60], "y_train": splits()["y_train"][:60]}
    return save_digits(tmp_path_factory.mktemp("few") / "few.npz", **arrays)


def test_where_no_candidate_keeps_the_floor_the_path_is_walked_again_more_gently(folder, few):
    asked = se.Recipe(
        target={"max_metric_drop": 0.01}, training={"epochs": 12}, prune={"candidates": 3}, seed=1
    )
    result = se.compress(folder / "perceptron.onnx", few, asked)
    nodes = [candidate.entry.measurement.nodes for candidate in result.candidates]
    assert len(nodes) > 3
    assert max(nodes[3:6]) > max(nodes[:3]), "the second walk begins wide again"
    assert min(nodes[3:6]) > min(nodes[:3]), "and does not go so far"
    assert any("trained once more" in warning for warning in result.report.data.warnings)


def test_a_second_walk_that_was_stopped_goes_on_and_gives_the_same_files(folder, few, tmp_path):
    asked = se.Recipe(
        target={"max_metric_drop": 0.01}, training={"epochs": 12}, prune={"candidates": 3}, seed=1
    )
    whole = se.compress(folder / "perceptron.onnx", few, asked)

    class Stopped(Exception):
        """The process that ran the job is gone."""

    def stop(progress):
        if progress.candidate is not None and progress.candidate.index == 4:
            raise Stopped

    with pytest.raises(Stopped):
        se.compress(folder / "perceptron.onnx", few, asked, stop, tmp_path)
    resumed = se.compress(folder / "perceptron.onnx", few, asked, work_dir=tmp_path)
    assert [c.model_bytes for c in resumed.candidates] == [c.model_bytes for c in whole.candidates]
    assert resumed.outcome == whole.outcome


def test_data_without_labels_are_trained_towards_the_original(folder, tmp_path):
    nothing = {f"y_{part}": None for part in ("train", "val", "test")}
    data = save_digits(tmp_path / "unlabelled.npz", **nothing)
    result = se.compress(folder / "perceptron.onnx", data, recipe(keep_nodes=0.5))
    assert result.chosen.entry.measurement.metric.name == "agreement"
    measured = result.chosen.entry.measurement.metric
    assert measured.value > 0.85
    assert measured.interval.low < measured.value < measured.interval.high
    reference = result.report.data.baseline.metric
    assert (measured.against, reference.against) == ("original", "original")
    assert reference.interval.low == reference.value == reference.interval.high


def test_a_metric_that_needs_labels_is_refused_without_them(folder, tmp_path):
    nothing = {f"y_{part}": None for part in ("train", "val", "test")}
    data = save_digits(tmp_path / "unlabelled.npz", **nothing)
    with pytest.raises(InvalidRequest) as caught:
        se.compress(folder / "perceptron.onnx", data, {"metric": "accuracy"})
    assert caught.value.pointer == "#/recipe/metric"


def test_labels_beyond_the_outputs_are_refused(folder, tmp_path):
    labels = splits()["y_train"].copy()
    labels[0] = 12
    data = save_digits(tmp_path / "labels.npz", y_train=labels)
    with pytest.raises(DatasetMismatch):
        se.compress(folder / "perceptron.onnx", data, recipe(keep_nodes=0.5))


def test_report_and_model_are_saved_by_the_names_ending(result, tmp_path):
    result.chosen.save(tmp_path / "out.onnx")
    onnx.checker.check_model(str(tmp_path / "out.onnx"))
    for ending in ("json", "html", "csv"):
        result.report.save(tmp_path / f"report.{ending}")
    stored = json.loads((tmp_path / "report.json").read_text())
    assert stored["chosen"] == result.chosen.id
    assert "<html" in (tmp_path / "report.html").read_text()


def test_importing_the_engine_loads_no_torch():
    import subprocess
    import sys

    code = "import sys, spectral_engine; spectral_engine.Recipe(); print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


def test_the_bytes_of_a_model_do_as_well_as_its_path(folder):
    result = se.compress(trained(), folder / "digits.npz", recipe(keep_nodes=0.5))
    assert result.outcome == "target_met"
