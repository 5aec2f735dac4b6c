"""Limits of a tenant: what is over them is refused, says which and until when, and does not touch others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.store.base import now
from service.store.jobs.repository import JobRepository
from tests.support.brokers import valkey
from tests.support.hand import Hand
from tests.support.keyed_api import bearing, keyed_api, new_key

Start = Callable[..., tuple[TestClient, dict[str, str], dict[str, str]]]
POLICY = re.compile(r'"[a-z-]+";q=\d+(;w=\d+)?(;qu="[a-z-]+")?')
LEFT = re.compile(r'"[a-z-]+";r=\d+;t=\d+')


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Serve under limits; return the API and the headers of two tenants."""
    with ExitStack() as running:

        def start(**limits: Any) -> tuple[TestClient, dict[str, str], dict[str, str]]:
            api = running.enter_context(keyed_api(tmp_path, **limits))
            one, other = (bearing(new_key(api, tenant=name)) for name in ("acme", "globex"))
            return api, one, other

        yield start


def refused(answer: Any, policy: str) -> dict[str, Any]:
    """Return the problem of an answer that must be a quota's."""
    assert answer.status_code == 429, answer.text
    body: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (body["code"], body["retryable"]) == ("quota-exceeded", True)
    assert body["violated-policies"] == [policy]
    assert int(answer.headers["retry-after"]) >= 1
    assert POLICY.fullmatch(answer.headers["ratelimit-policy"])
    assert LEFT.fullmatch(answer.headers["ratelimit"])
    assert f'"{policy}"' in answer.headers["ratelimit"]
    return body


def inputs(api: TestClient, who: dict[str, str]) -> dict[str, str]:
    return {
        name: api.post(f"/v1/{name}s", files={"file": b"x"}, headers=who).json()["id"]
        for name in ("model", "dataset")
    }


def test_requests_are_counted_by_tenant_and_every_answer_tells_what_is_left(start: Start) -> None:
    api, one, other = start(max_requests_per_minute=3)
    second_key = bearing(new_key(api, tenant="acme"))

    left = [api.get("/v1/jobs", headers=who).headers["ratelimit"] for who in (one, second_key, one)]

    assert [int(re.findall(r"r=(\d+)", told)[0]) for told in left] == [2, 1, 0]
    answer = api.get("/v1/jobs", headers=one)
    refused(answer, "requests")
    assert answer.headers["ratelimit-policy"] == '"requests";q=3;w=60'
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert api.get("/v1/jobs", headers=other).status_code == 200
    assert api.get("/healthz").status_code == 200


def test_apis_that_share_a_redis_count_together(tmp_path: Path) -> None:
    with valkey(tmp_path / "queue") as url, ExitStack() as running:
        given = {"broker_url": url, "max_requests_per_minute": 2}
        first = running.enter_context(keyed_api(tmp_path, **given))
        second = running.enter_context(keyed_api(tmp_path, **given))
        who = bearing(new_key(first))
        assert first.get("/v1/jobs", headers=who).status_code == 200
        assert second.get("/v1/jobs", headers=who).status_code == 200
        refused(first.get("/v1/jobs", headers=who), "requests")
        refused(second.get("/v1/jobs", headers=who), "requests")


def test_no_more_jobs_wait_than_may(start: Start) -> None:
    api, one, other = start(max_queued_jobs=2)
    mine, theirs = inputs(api, one), inputs(api, other)
    again = one | {"Idempotency-Key": "k"}
    first = api.post("/v1/jobs", json=mine, headers=again)
    assert first.status_code == 202
    assert api.post("/v1/analyses", json={"model": mine["model"]}, headers=one).status_code == 202

    refused(api.post("/v1/jobs", json=mine, headers=one), "queued-jobs")
    refused(api.post("/v1/analyses", json={"model": mine["model"]}, headers=one), "queued-jobs")
    refused(api.post("/v1/jobs?validate_only=true", json=mine, headers=one), "queued-jobs")
    assert api.post("/v1/jobs", json=mine, headers=again).json()["id"] == first.json()["id"]
    assert api.post("/v1/jobs", json=theirs, headers=other).status_code == 202

    api.post(f"/v1/jobs/{first.json()['id']}/cancel", headers=one)
    assert api.post("/v1/jobs", json=mine, headers=one).status_code == 202


def test_seconds_of_workers_are_counted_by_the_day(start: Start) -> None:
    api, one, other = start(max_worker_seconds_per_day=1)
    mine, theirs = inputs(api, one), inputs(api, other)
    job = api.post("/v1/jobs", json=mine, headers=one).json()["id"]
    here = api.app.state.application  # type: ignore[attr-defined]
    hand = Hand(here, job).claim()
    with here.database.begin() as session:
        row = JobRepository(session).get(job)
        row.started_at = now() - timedelta(days=2)  # of this, today counts

    answer = api.post("/v1/jobs", json=mine, headers=one)

    refused(answer, "worker-seconds")
    assert int(answer.headers["retry-after"]) <= 86_400
    assert api.post("/v1/jobs", json=theirs, headers=other).status_code == 202
    hand.cancelled()
    with here.database.begin() as session:
        JobRepository(session).get(job).finished_at = now() - timedelta(days=1)
    assert api.post("/v1/jobs", json=mine, headers=one).status_code == 202


def test_an_upload_over_what_may_be_stored_leaves_nothing(start: Start, tmp_path: Path) -> None:
    api, one, other = start(max_stored_bytes=1000)

    def upload(content: bytes, who: dict[str, str], **more: Any) -> Any:
        return api.post("/v1/models", files={"file": ("m", content)}, headers=who | more)

    assert upload(b"a" * 600, one).status_code == 201
    body = refused(upload(b"b" * 500, one), "stored-bytes")
    assert "1000 bytes" in body["detail"]
    raw = {"Content-Type": "application/octet-stream"}
    refused(api.post("/v1/datasets", content=b"c" * 500, headers=one | raw), "stored-bytes")
    chunks = iter([b"d" * 300, b"d" * 300])
    refused(api.post("/v1/datasets", content=chunks, headers=one | raw), "stored-bytes")

    assert upload(b"e" * 400, one).status_code == 201, "what is left can be used to the last byte"
    assert upload(b"f" * 1000, other).status_code == 201
    files = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert sorted(path.stat().st_size for path in files) == [400, 600, 1000]


def test_no_more_jobs_of_a_tenant_run_than_may_and_others_go_ahead(start: Start) -> None:
    api, one, other = start()
    jobs = [
        api.post("/v1/jobs", json=inputs(api, who), headers=who).json()["id"]
        for who in (one, one, other)
    ]
    database = api.app.state.application.database  # type: ignore[attr-defined]
    order = []
    for _ in jobs:
        with database.begin() as session:
            repository = JobRepository(session)
            job_id = repository.next_queued(["cpu"], max_running=1)
            if job_id is not None:
                assert repository.leases.claim(job_id, "w", 60, max_running=1)
                order.append(job_id)
            assert repository.leases.claim(jobs[1], "w", 60, max_running=1) is None
    assert order == [jobs[0], jobs[2]]
