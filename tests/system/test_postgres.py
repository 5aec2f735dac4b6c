"""The records in PostgreSQL, as `docker compose` has them: the same jobs, the same promises."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from service.store.jobs.error import JobError
from service.store.jobs.repository import JobRepository
from service.store.migrations import upgrade
from tests.support import brokers
from tests.support.postgres import postgres
from tests.support.running_api import running_api
from tests.support.running_service import descendants
from tests.support.waiting import wait_until
from tests.support.working import Shop, impatient, running_worker

RAW = {"Content-Type": "application/octet-stream"}
PROCESSES, JOBS = 4, 40


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    with postgres() as url:
        upgrade(url)
        yield url


@pytest.fixture
def shop(database_url: str, tmp_path: Path) -> Iterator[Shop]:
    with brokers.valkey(tmp_path / "broker") as url:
        shop = Shop(impatient(tmp_path / "data", broker_url=url, database_url=database_url))
        yield shop
        shop.database.close()


def test_migrating_twice_is_migrating_once(database_url: str):
    upgrade(database_url)


def test_of_many_processes_one_claims_each_job(shop: Shop, tmp_path: Path):
    jobs = {shop.submit(ring=False) for _ in range(JOBS)}
    command = [sys.executable, "-m", "tests.support.claimer", shop.settings.database_url]
    claimers = [
        subprocess.Popen([*command, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    try:
        wait_until(lambda: len(list(tmp_path.glob("ready-*"))) == PROCESSES)
        (tmp_path / "open").touch()
        won = [json.loads(claimer.communicate(timeout=60)[0]) for claimer in claimers]
    finally:
        for claimer in claimers:
            claimer.kill()
            claimer.wait()
    claimed = [job_id for one in won for job_id, _ in one]
    assert sorted(claimed) == sorted(jobs)


def test_a_job_runs_and_one_that_is_cancelled_keeps_its_best(shop: Shop):
    with running_worker(shop.settings):
        assert shop.ended(shop.submit(steps=3)).status == "succeeded"
        job_id = shop.submit(steps=500, seconds=0.2)
        shop.at_work(job_id)
        shop.cancel(job_id)
        job = shop.ended(job_id)
    assert job.status == "cancelled"
    assert job.chosen_candidate_id is not None


def test_a_job_whose_worker_is_killed_succeeds_once(shop: Shop):
    with running_worker(shop.settings) as worker:
        job_id = shop.submit(steps=12, seconds=0.25)
        shop.at_work(job_id)
        assert descendants(worker.process.pid)
        worker.kill()
    with running_worker(shop.settings):
        job = shop.ended(job_id)
    assert (job.status, job.attempt) == ("succeeded", 2)
    assert shop.events(job_id).count("job.succeeded") == 1


def test_a_lease_that_was_lost_writes_nothing(shop: Shop):
    job_id = shop.submit(ring=False)
    with shop.database.begin() as session:
        old = JobRepository(session).leases.claim(job_id, "a", -1)
    with shop.database.begin() as session:
        assert job_id in JobRepository(session).leases.requeue_expired()
    with shop.database.begin() as session:
        new = JobRepository(session).leases.claim(job_id, "b", 60)
    assert old is not None
    assert new is not None
    with shop.database.begin() as session:
        assert not JobRepository(session).leases.finish(job_id, old, "succeeded")
        assert JobRepository(session).leases.finish(
            job_id, new, "failed", error=JobError(detail="x")
        )
    assert shop.job(job_id).status == "failed"


def test_the_api_lists_pages_filters_and_repeats(database_url: str, tmp_path: Path):
    with (
        running_api(tmp_path, database_url=database_url) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        model = http.post("/v1/models", content=b"m", headers=RAW).json()["id"]
        data = http.post("/v1/datasets", content=b"d", headers=RAW).json()["id"]
        run = f"run-{os.getpid()}"
        body = {"model": model, "dataset": data, "metadata": {"run": run}}
        first, again = (
            http.post("/v1/jobs", json=body, headers={"Idempotency-Key": run}) for _ in range(2)
        )
        assert first.json()["id"] == again.json()["id"]
        assert again.headers["idempotent-replayed"] == "true"
        other = http.post("/v1/jobs", json=body).json()["id"]
        page = http.get("/v1/jobs", params={"metadata[run]": run, "limit": 1}).json()
        assert [one["id"] for one in page["data"]] == [other]
        assert page["has_more"]
        events = http.get(f"/v1/jobs/{other}/events").json()["data"]
        assert [one["type"] for one in events] == ["job.queued"]
        assert http.post(f"/v1/jobs/{other}/cancel").json()["status"] == "cancelled"
        assert http.get("/readyz").json()["checks"]["database"]["ok"]
        assert http.get("/metrics").status_code == 200
