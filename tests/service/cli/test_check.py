"""`eigenpress check`: what the data mean, for a person and for a program; refused with what to pass."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from service.cli.app import app
from tests.support.digits import save_digits, save_model, splits


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("check")
    save_model(path / "net.onnx")
    save_digits(path / "digits.npz")
    words = np.array(
        ["nil", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    )
    named = {f"y_{part}": words[splits()[f"y_{part}"]] for part in ("train", "val", "test")}
    save_digits(path / "words.npz", **named)
    np.savez(path / "whole.npz", x=splits()["x_train"], y=splits()["y_train"])
    turned = {f"y_{part}": (splits()[f"y_{part}"] + 3) % 10 for part in ("train", "val", "test")}
    save_digits(path / "turned.npz", **turned)
    return path


def run(folder, data, *more):
    return CliRunner().invoke(app, ["check", str(folder / "net.onnx"), str(folder / data), *more])


def test_a_page_says_what_was_understood_and_what_the_model_knows(folder):
    ended = run(folder, "digits.npz")
    assert ended.exit_code == 0
    assert "labels    classes, of output 'logits' (logits)" in ended.stdout
    assert "1,100 to train on, 297 to choose by, 400 held out" in ended.stdout
    assert "original  accuracy 0.9" in ended.stdout


def test_names_of_classes_are_matched_with_the_models_answers(folder):
    checked = json.loads(run(folder, "words.npz", "--json").stdout)
    assert checked["meaning"]["order"] == "matched"
    assert checked["meaning"]["classes"][:3] == ["nil", "one", "two"]
    assert checked["original"]["value"] > 0.9


def test_labels_in_another_order_end_with_what_to_pass_and_passing_it_helps(folder):
    refused = run(folder, "turned.npz", "--json")
    assert refused.exit_code == 1
    error = json.loads(refused.stdout)["error"]
    assert error["code"] == "dataset-mismatch"
    assert error["pointer"] == "#/labels/classes"
    option = '{"classes": [3, 4, 5, 6, 7, 8, 9, 0, 1, 2]}'
    assert f"pass labels {option}" in error["detail"]
    passed = run(folder, "turned.npz", "--labels", option, "--json")
    assert json.loads(passed.stdout)["original"]["value"] > 0.9


@pytest.mark.parametrize("command", [["check"], ["analyze", "--data"]])
@pytest.mark.parametrize(
    ("field", "wrong", "right"),
    [("seen_by_original", "test", "no"), ("rows_axis", '{"other": 1}', '{"x": 0}')],
)
def test_it_may_be_said_what_the_rows_are(folder, command, field, wrong, right):
    name, *option = command
    model, data = str(folder / "net.onnx"), str(folder / "whole.npz")
    asked = [name, model, *option, data, "--json", f"--{field.replace('_', '-')}"]
    refused = CliRunner().invoke(app, [*asked, wrong])
    assert refused.exit_code == 2
    assert f"/{field}" in json.loads(refused.stdout)["error"]["pointer"]
    assert CliRunner().invoke(app, [*asked, right]).exit_code == 0


def test_the_function_is_there_whatever_was_imported_before():
    import spectral_engine
    import spectral_engine.data_check

    assert callable(spectral_engine.check)
