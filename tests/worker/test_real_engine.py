"""The engine itself under a worker: killed in the middle, and the result is that of an undisturbed run."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from spectral_engine.records.report import Report
from tests.support.digits import save_digits, save_model, splits
from tests.support.working import Shop, running_worker

REAL_ENGINE = "spectral_engine:compress"
RECIPE = {"target": {"max_metric_drop": 0.3}, "training": {"epochs": 8}, "seed": 5}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return save_model(tmp_path / "m.onnx"), save_digits(tmp_path / "d.npz")


def test_a_real_job_whose_engine_is_killed_ends_once_with_the_very_same_model(shop: Shop, files):
    content = (files[0].read_bytes(), files[1].read_bytes())
    with running_worker(shop.settings, REAL_ENGINE) as worker:
        job_id = shop.submit(files=content, **RECIPE)
        shop.at_work(job_id)
        os.kill(worker.engine(), signal.SIGKILL)
        job = shop.ended(job_id, seconds=120)
    assert (job.status, job.outcome, job.attempt) == ("succeeded", "target_met", 2), job.error
    assert shop.events(job_id).count("job.succeeded") == 1
    report = Report.model_validate_json(shop.read(job.report_json_sha256))
    (chosen,) = [one for one in shop.candidates(job_id) if one.chosen]
    model = shop.read(chosen.sha256)
    assert accuracy(model) == pytest.approx(report.chosen_candidate().measurement.metric.value)
    assert model == undisturbed(*files)


def test_what_is_said_of_the_rows_beside_the_data_set_reaches_the_engine(shop: Shop, files):
    content = (files[0].read_bytes(), files[1].read_bytes())
    quick = {"training": {"epochs": 1}, "prune": {"candidates": 1}}
    with running_worker(shop.settings, REAL_ENGINE):
        beside = shop.submit(files=content, said={"seen_by_original": ["train"]}, **quick)
        won = shop.submit(
            files=content, said={"seen_by_original": ["nothing"]}, seen_by_original=False, **quick
        )
        ended = [shop.ended(job_id) for job_id in (beside, won)]
    for job, said in zip(ended, (["train"], False), strict=True):
        assert job.status == "succeeded", job.error
        report = Report.model_validate_json(shop.read(job.report_json_sha256))
        assert report.recipe["seen_by_original"] == said
        assert report.seen_rows is not None
        assert report.seen_rows.said is False


def undisturbed(model: Path, data: Path) -> bytes:
    """Return what the same recipe gives in one go, in a process as fresh as the worker's."""
    out = model.with_name("undisturbed.onnx")
    code = (
        "import json, sys, spectral_engine as se; model, data, recipe, out = sys.argv[1:]; "
        "se.compress(model, data, json.loads(recipe)).chosen.save(out)"
    )
    arguments = [str(model), str(data), json.dumps(RECIPE), str(out)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)
    return out.read_bytes()


def accuracy(model: bytes) -> float:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"x": splits()["x_test"]})
    return float(np.mean(np.argmax(logits, 1) == splits()["y_test"]))
