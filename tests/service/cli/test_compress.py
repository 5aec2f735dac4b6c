"""`eigenpress compress`: what programs and people rely on."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.support.digits import splits

EASY = ("--max-metric-drop", "0.5", "--epochs", "1", "--seed", "1")


def accuracy(model: Path) -> float:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"x": splits()["x_test"]})
    return float(np.mean(np.argmax(logits, 1) == splits()["y_test"]))


def test_a_met_target_ends_with_0_and_one_json_object_tells_what_came_out(
    run, model, data, tmp_path
):
    out, report = tmp_path / "out.onnx", tmp_path / "report.html"
    ended = run("compress", model, data, *EASY, "-o", out, "--report", report, "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["outcome"] == "target_met"
    assert told["recipe"]["seed"] == 1
    assert told["output"] == str(out)
    assert told["chosen"]["measurement"]["metric"]["value"] == pytest.approx(accuracy(out))
    assert told["baseline"]["metric"]["value"] == pytest.approx(accuracy(model))
    assert told["chosen"]["measurement"]["file_bytes"] == out.stat().st_size
    assert out.stat().st_size < model.stat().st_size
    assert "<html" in report.read_text("utf-8")[:500].lower()


def test_a_missed_target_ends_with_3_and_the_best_candidate_is_written(run, model, data, tmp_path):
    out = tmp_path / "out.onnx"
    tight = ("--max-metric-drop", "0", "--keep-nodes", "0.15", "--epochs", "1")
    ended = run("compress", model, data, *tight, "-o", out)
    assert ended.returncode == 3, ended.stderr
    assert "target not met" in ended.stdout
    assert 0 < out.stat().st_size < model.stat().st_size / 2
    assert 0 <= accuracy(out) <= accuracy(model)


def test_without_json_a_table_shows_before_and_after_and_progress_goes_to_stderr(
    run, model, data, tmp_path
):
    ended = run("compress", model, data, *EASY, "-o", tmp_path / "out.onnx")
    for word in ("before", "after", "accuracy", "nodes", "parameters", "multiply-adds", "latency"):
        assert word in ended.stdout
    assert "training" in ended.stderr
    assert "training" not in ended.stdout


def test_in_a_terminal_a_bar_moves_on_stderr(model, data, tmp_path):
    main, side = pty.openpty()
    command = [sys.executable, "-m", "service.cli", "compress", model, data, *EASY]
    process = subprocess.Popen(
        [*map(str, command), "-o", str(tmp_path / "out.onnx"), "--json"],
        stderr=side,
        stdout=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(side)
    shown = b""
    while chunk := _read(main):
        shown += chunk
    os.close(main)
    stdout, _ = process.communicate()
    assert process.returncode == 0
    assert json.loads(stdout)["outcome"] == "target_met"
    assert "━".encode() in shown
    assert b"training" in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # how a pseudo-terminal tells that its other side is closed
        return b""


def test_options_win_over_the_recipe_file(run, model, data, tmp_path):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(
        json.dumps(
            {"seed": 5, "training": {"epochs": 2, "batch_size": 64}, "target": {"max_macs": 0.9}}
        )
    )
    given = ("--recipe", recipe, "--seed", "6", "--max-metric-drop", "0.5")
    ended = run("compress", model, data, *given, "-o", tmp_path / "o.onnx", "--json")
    executed = json.loads(ended.stdout)["recipe"]
    assert executed["seed"] == 6
    assert executed["training"]["epochs"] == 2
    assert executed["training"]["batch_size"] == 64
    assert executed["target"]["max_macs"] == 0.9
    assert executed["target"]["max_metric_drop"] == 0.5


def test_amounts_and_percentages_reach_the_recipe_that_is_executed(run, model, data, tmp_path):
    given = ("--max-macs", "5M", "--max-bytes", "500kB", "--max-latency", "0.9ms")
    shares = ("--keep-nodes", "50%", "--epochs", "1")
    ended = run("compress", model, data, *given, *shares, "-o", tmp_path / "o.onnx", "--json")
    assert ended.returncode == 0, ended.stderr
    target = json.loads(ended.stdout)["recipe"]["target"]
    assert (target["max_macs"], target["max_bytes"]) == (5_000_000, 500_000)
    assert (target["max_latency_ms"], target["keep_nodes"]) == ({"ms": 0.9}, 0.5)


def test_a_density_trains_within_a_budget_of_links_and_the_table_counts_them(
    run, model, data, tmp_path
):
    asked = ("--method", "sparse", "--density", "0.5", "--epochs", "1")
    ended = run("compress", model, data, *asked, "-o", tmp_path / "out.onnx")
    assert ended.returncode == 0, ended.stderr
    for word in ("links", "5,856", "2,928", "but for zeros", "came back"):
        assert word in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--max-macs", "150%"), "--max-macs"),
        (("--max-params", "0"), "--max-params"),
        (("--keep-nodes", "-0.1"), "--keep-nodes"),
        (("--keep-nodes", "nan"), "--keep-nodes"),
        (("--method", "sparse", "--density", "0"), "--density"),
        (("--method", "sparse", "--max-macs", "0.5"), "target.max_macs"),
        (("--density", "0.1"), "target.density"),
        (("--max-metric-drop", "-0.01"), "--max-metric-drop"),
        (("--max-metric-drop", "much"), "--max-metric-drop"),
        (("--epochs", "-1"), "--epochs"),
        (("--epochs", "3", "--no-training"), "--no-training"),
        (("--method", "retrain", "--no-training"), "training.epochs"),
        (("--method", "shrink"), "method"),
        (("--report", "report.pdf"), "--report"),
        (("--preprocessing", "[1]"), "--preprocessing"),
        (("--no-such-option",), "--no-such-option"),
    ],
)
def test_wrong_use_ends_with_2_before_anything_is_read_and_names_the_field(
    run, model, data, tmp_path, arguments, named
):
    ended = run("compress", model, data, *arguments, "-o", tmp_path / "out.onnx")
    assert ended.returncode == 2
    assert named in ended.stderr
    assert not (tmp_path / "out.onnx").exists()


def test_an_unknown_field_of_a_recipe_file_is_refused_by_name(run, model, data, tmp_path):
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"target": {"max_mac": 0.5}}')
    ended = run("compress", model, data, "--recipe", recipe, "-o", tmp_path / "o.onnx", "--json")
    assert ended.returncode == 2
    error = json.loads(ended.stdout)["error"]
    assert error["code"] == "invalid-request"
    assert error["errors"][0]["pointer"] == "#/recipe/target/max_mac"


def test_files_that_are_not_there_and_places_that_cannot_be_written_are_wrong_use(
    run, model, data, tmp_path
):
    missing = tmp_path / "missing.onnx"
    assert run("compress", missing, data, "-o", tmp_path / "o.onnx").returncode == 2
    nowhere = tmp_path / "no" / "such" / "folder" / "o.onnx"
    ended = run("compress", model, data, "-o", nowhere)
    assert ended.returncode == 2
    assert "--output" in ended.stderr
    assert run("compress", model, data).returncode == 2


def test_the_uploaded_model_is_never_replaced(run, model, data):
    before = model.read_bytes()
    assert run("compress", model, data, "-o", model).returncode == 2
    assert model.read_bytes() == before


def test_data_that_the_model_cannot_take_ends_with_1_and_names_the_array(
    run, model, tmp_path, data
):
    np.savez(data, x=np.zeros((50, 63), np.float32), y=np.arange(50) % 10)
    ended = run("compress", model, data, "-o", tmp_path / "out.onnx", "--json")
    assert ended.returncode == 1
    error = json.loads(ended.stdout)["error"]
    assert error["code"] == "dataset-mismatch"
    assert "63" in error["detail"]
    assert "error:" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_bytes_that_are_no_model_end_with_1(run, model, data, tmp_path):
    model.write_bytes(b"not a model")
    ended = run("compress", model, data, "-o", tmp_path / "out.onnx", "--json")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error"]["code"] == "model-invalid"
