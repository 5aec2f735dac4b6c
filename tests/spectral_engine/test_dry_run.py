"""A dry run says what a job would find, and fails as it would, before anything trains."""

import numpy as np
import pytest

import spectral_engine as se
from spectral_engine.data_check import dry_run
from spectral_engine.errors import EngineError, InvalidRequest
from tests.support.digits import save_digits, save_model, splits

QUICK = {"training": {"epochs": 1}, "prune": {"candidates": 1}, "seen_by_original": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("dry")
    save_model(path / "net.onnx")
    save_digits(path / "digits.npz")
    turned = {f"y_{part}": (splits()[f"y_{part}"] + 3) % 10 for part in ("train", "val", "test")}
    save_digits(path / "turned.npz", **turned)
    rows = splits()
    np.savez(path / "whole.npz", x=rows["x_train"][:600], y=rows["y_train"][:600])
    return path


def how_it_ends(run, *arguments, **more):
    with pytest.raises(EngineError) as caught:
        run(*arguments, **more)
    return caught.value.to_json()


@pytest.mark.parametrize(
    ("data", "recipe", "code", "pointer"),
    [
        ("turned", {}, "dataset-mismatch", "#/labels/classes"),
        ("digits", {"metric": "cer"}, "dataset-mismatch", None),
        ("digits", {"target": {"max_metric_drop": 3}}, "invalid-request", "/max_metric_drop"),
        ("digits", {"target": {"max_macs": 1e-9}}, "target-infeasible", "/max_macs"),
        ("digits", {"target": {"max_bytes": 100}}, "target-infeasible", "/max_bytes"),
        ("whole", {"seen_by_original": ["test"]}, "invalid-request", "/seen_by_original"),
        ("digits", {"labels": {"output": "no"}}, "invalid-request", "#/labels/output"),
    ],
)
def test_it_fails_as_the_job_does(folder, data, recipe, code, pointer):
    given = (folder / "net.onnx", folder / f"{data}.npz", QUICK | recipe)
    error = how_it_ends(dry_run, *given)
    assert error == how_it_ends(se.compress, *given)
    assert error["code"] == code
    assert pointer is None or error["pointer"].endswith(pointer)


def test_it_reads_the_data_as_the_job_does_held_out_rows_included(folder):
    given = (
        folder / "net.onnx",
        folder / "whole.npz",
        QUICK | {"target": {"max_metric_drop": 0.03}},
    )
    told = dry_run(*given)
    assert told.data == se.compress(*given).report.data.data
    # A floor asks for more held-out rows than looking alone.
    assert told.data.test_rows > se.check(*given).data.test_rows


def test_an_analysis_with_a_recipe_tells_what_a_dry_run_does(folder):
    model, data = folder / "net.onnx", folder / "turned.npz"
    recipe = QUICK | {"metric": "f1_macro", "allow_poor_original": True}
    analysis = se.analyze(model, data=data, recipe=recipe)
    assert analysis.data == dry_run(model, data, recipe)
    assert analysis.data.metric == "f1_macro"
    assert how_it_ends(se.analyze, model, data=data)["code"] == "dataset-mismatch"


def test_a_recipe_without_data_is_refused(folder):
    with pytest.raises(InvalidRequest) as caught:
        se.analyze(folder / "net.onnx", recipe=QUICK)
    assert caught.value.pointer == "#/recipe"
