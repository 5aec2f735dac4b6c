"""Liveness, readiness, metrics, and a process that stays light."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from tests.support.hand import Hand

Submit = Callable[..., dict[str, Any]]
Work = Callable[[str], Hand]


def numbers(api: TestClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = api.get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_process_answers(api: TestClient) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}


def test_readiness_says_what_is_missing(api: TestClient) -> None:
    answer = api.get("/readyz")

    assert answer.status_code == 200
    body = answer.json()
    # No broker listens in this test: jobs are taken and wait, which is worth saying.
    assert body["status"] == "degraded"
    assert body["checks"]["database"]["ok"]
    assert body["checks"]["artifacts"]["ok"]
    assert not body["checks"]["broker"]["ok"]
    assert body["workers"]["any_alive"] is False


def test_a_service_without_its_records_is_not_ready(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*args: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr(api.app.state.application.database, "read", gone)

    answer = api.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["status"] == "unavailable"
    assert not answer.json()["checks"]["database"]["ok"]


def test_metrics_count_jobs_and_requests_by_route(
    api: TestClient, submit: Submit, work: Work
) -> None:
    submit()
    job = submit()
    work(job["id"])
    for _ in range(3):
        api.get(job["links"]["self"])

    samples = numbers(api)

    assert samples["eigenpress_jobs", (("status", "queued"),)] == 1
    assert samples["eigenpress_jobs", (("status", "running"),)] == 1
    assert samples["eigenpress_jobs", (("status", "failed"),)] == 0
    assert samples["eigenpress_oldest_queued_seconds", ()] >= 0
    labels = (("method", "GET"), ("route", "/v1/jobs/{job_id}"), ("status", "200"))
    assert samples["eigenpress_http_request_seconds_count", labels] == 3
    assert job["id"] not in api.get("/metrics").text


def test_the_api_starts_without_loading_what_trains() -> None:
    check = (
        "import sys, service.api.app, service.client;"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'onnx_ir', 'numpy', 'scipy', 'pyarrow'};"
        "print(sorted(heavy & set(sys.modules)))"
    )

    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"
