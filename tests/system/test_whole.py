"""Upload, job, events, result: the whole service over real HTTP, by bare requests."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import jsonschema
import numpy as np
import onnxruntime
import pytest

from spectral_engine.records.report import Report
from tests.support.digits import splits
from tests.support.raw_http import get_job, stream, submit, upload

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"
QUICK = {"target": {"max_metric_drop": 0.3}, "training": {"epochs": 2}, "seed": 3}


@pytest.fixture(scope="module")
def told(service, files):
    """A job that ran, with the events that told of it."""
    job = submit(service.url, files, **QUICK)
    events = list(stream(service.url, job["id"]))
    return get_job(service.url, job["id"]), events


def accuracy(model: bytes) -> float:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"x": splits()["x_test"]})
    return float(np.mean(np.argmax(logits, 1) == splits()["y_test"]))


def test_a_job_runs_from_queued_to_succeeded_and_says_so_as_it_goes(told):
    job, events = told
    assert job["status"] == "succeeded", job["error"]
    assert job["outcome"] == "target_met"
    assert job["attempt"] == 1
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["job.queued", "job.started"]
    assert kinds[-1] == "job.succeeded"
    assert kinds.count("job.succeeded") == 1
    assert "job.candidate_created" in kinds
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))


def test_progress_never_falls_and_ends_at_the_whole(told):
    job, events = told
    fractions = [event["data"]["fraction"] for event in events if event["type"] == "job.progress"]
    assert fractions == sorted(fractions)
    assert job["progress"]["fraction"] == 1.0


def test_the_chosen_model_is_smaller_as_good_as_reported_and_the_best_met_candidate(
    service, told, files
):
    job, _ = told
    model = httpx2.get(f"{service.url}/v1/jobs/{job['id']}/model").raise_for_status().content
    report = httpx2.get(f"{service.url}/v1/jobs/{job['id']}/report").json()
    chosen = next(entry for entry in report["candidates"] if entry["chosen"])
    assert hashlib.sha256(model).hexdigest() == chosen["measurement"]["sha256"]
    assert len(model) == chosen["measurement"]["file_bytes"] < files[0].stat().st_size
    assert accuracy(model) == pytest.approx(chosen["measurement"]["metric"]["value"])
    assert accuracy(model) >= accuracy(files[0].read_bytes()) - 0.3


def test_the_report_is_valid_by_its_published_schema_and_comes_as_html_and_csv(service, told):
    job, _ = told
    url = f"{service.url}/v1/jobs/{job['id']}/report"
    report = httpx2.get(url).json()
    jsonschema.validate(report, json.loads(SCHEMA.read_text("utf-8")))
    assert report["recipe"]["seed"] == 3
    page = httpx2.get(url, headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "<svg" in page.text
    table = httpx2.get(url, params={"format": "csv"}).text
    assert len(table.splitlines()) == 1 + len(report["relevance"])


def test_every_candidate_can_be_downloaded_and_runs(service, told):
    job, _ = told
    candidates = httpx2.get(f"{service.url}/v1/jobs/{job['id']}/candidates").json()["data"]
    assert len(candidates) > 1
    assert job["chosen_candidate"] in {candidate["id"] for candidate in candidates}
    for candidate in candidates:
        path = f"{service.url}/v1/jobs/{job['id']}/candidates/{candidate['id']}/model"
        assert 0 <= accuracy(httpx2.get(path).raise_for_status().content) <= 1


def test_the_same_job_gives_the_same_bytes(service, told, files):
    job, _ = told
    again = submit(service.url, files, **QUICK)
    assert list(stream(service.url, again["id"]))[-1]["type"] == "job.succeeded"
    first, second = (
        httpx2.get(f"{service.url}/v1/jobs/{one['id']}/model").content for one in (job, again)
    )
    assert first == second


def test_data_that_do_not_fit_fail_the_job_with_a_problem_that_names_the_array(
    service, files, tmp_path
):
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, x=np.zeros((40, 63), np.float32), y=np.arange(40) % 10)
    job = submit(service.url, (files[0], wrong))
    assert list(stream(service.url, job["id"]))[-1]["type"] == "job.failed"
    ended = get_job(service.url, job["id"])
    assert ended["status"] == "failed"
    assert ended["attempt"] == 1
    assert ended["error"]["code"] == "dataset-mismatch"
    assert "63" in ended["error"]["detail"]


def test_a_running_job_is_cancelled_in_seconds(service, files):
    job = submit(service.url, files, training={"epochs": 500})
    for event in stream(service.url, job["id"]):
        if event["type"] == "job.progress":
            httpx2.post(f"{service.url}/v1/jobs/{job['id']}/cancel").raise_for_status()
            break
    ended = httpx2.get(f"{service.url}/v1/jobs/{job['id']}", params={"wait": 30}, timeout=60)
    assert ended.json()["status"] == "cancelled"


def test_the_command_line_submits_watches_and_downloads(service, files, tmp_path):
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "service.cli", *map(str, arguments)],
            env={**os.environ, "EIGENPRESS_SERVER": service.url},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    sent = run("submit", *files, "--max-metric-drop", "0.5", "--epochs", "1")
    assert sent.returncode == 0, sent.stderr
    job_id = sent.stdout.strip()
    watched = run("watch", job_id, "--json")
    assert watched.returncode == 0, watched.stderr
    assert json.loads(watched.stdout)["status"] == "succeeded"
    model, report = tmp_path / "small.onnx", tmp_path / "report.json"
    assert run("download", job_id, "-o", model, "--report", report).returncode == 0
    assert model.stat().st_size < files[0].stat().st_size
    assert Report.model_validate_json(report.read_text()).outcome == "target_met"
    assert job_id in run("jobs").stdout
    late = run("cancel", job_id)
    assert late.returncode == 1
    assert "job-terminal" in late.stderr


def test_what_was_uploaded_can_be_downloaded_again(service, files):
    model = upload(service.url, "models", files[0])
    assert model["sha256"] == hashlib.sha256(files[0].read_bytes()).hexdigest()
