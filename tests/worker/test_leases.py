"""Who may work on a job: one claim wins, and only the holder of the latest token writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import Settings
from service.store.jobs.error import JobError
from service.store.jobs.repository import JobRepository
from tests.support.waiting import wait_until
from tests.support.working import Shop, impatient

NOBODY = "redis://127.0.0.1:1/0"
PROCESSES, JOBS = 4, 40


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Records alone: no queue, no worker."""
    return Shop(impatient(tmp_path / "data", broker_url=NOBODY))


def claim(shop: Shop, job_id: str, lease_seconds: float = 60) -> int | None:
    with shop.database.begin() as session:
        return JobRepository(session).leases.claim(job_id, "here", lease_seconds)


def taken_over(shop: Shop) -> tuple[str, int, int]:
    """Return a job, the token of a worker that lost it, and the token of the one that has it now."""
    job_id = shop.submit(ring=False)
    old = claim(shop, job_id, lease_seconds=-1)
    with shop.database.begin() as session:
        assert JobRepository(session).leases.requeue_expired() == [job_id]
    new = claim(shop, job_id)
    assert old is not None
    assert new is not None
    return job_id, old, new


def test_of_many_processes_one_claims_each_job(shop: Shop, tmp_path: Path):
    jobs = {shop.submit(ring=False) for _ in range(JOBS)}
    command = [sys.executable, "-m", "tests.support.claimer", shop.settings.database_url]
    claimers = [
        subprocess.Popen([*command, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    try:
        wait_until(lambda: len(list(tmp_path.glob("ready-*"))) == PROCESSES, 60)
        (tmp_path / "open").touch()
        won = [json.loads(claimer.communicate(timeout=60)[0]) for claimer in claimers]
    finally:
        for claimer in claimers:
            claimer.kill()
            claimer.wait()
    claimed = [job_id for one in won for job_id, _ in one]
    assert len(claimed) == JOBS
    assert set(claimed) == jobs
    assert {fence for one in won for _, fence in one} == {1}
    assert all(shop.job(job_id).attempt == 1 for job_id in jobs)


def test_a_job_that_is_held_or_has_ended_cannot_be_claimed(shop: Shop):
    job_id = shop.submit(ring=False)
    fence = claim(shop, job_id)
    assert fence == 1
    assert claim(shop, job_id) is None
    with shop.database.begin() as session:
        assert JobRepository(session).leases.finish(
            job_id, fence, "failed", error=JobError(detail="no")
        )
    assert claim(shop, job_id) is None


def test_tokens_only_grow(shop: Shop):
    _, old, new = taken_over(shop)
    assert new > old


WRITES = {
    "renew the lease": lambda jobs, *key: jobs.leases.renew(*key, 60),
    "record progress": lambda jobs, *key: jobs.leases.progress(*key, "training", {"fraction": 0.5}),
    "keep the lease": lambda jobs, *key: jobs.leases.holds(*key),
    "add what it cost": lambda jobs, *key: jobs.leases.add_usage(*key, {"cpu_seconds": 1.0}),
    "finish": lambda jobs, *key: jobs.leases.finish(*key, "succeeded", outcome="target_met"),
    "give the job back": lambda jobs, *key: jobs.leases.release(*key),
    "retry": lambda jobs, *key: jobs.leases.retry(*key, 3, JobError(detail="no")),
}


@pytest.mark.parametrize("what", WRITES)
def test_a_worker_that_lost_its_lease_cannot(shop: Shop, what):
    job_id, old, new = taken_over(shop)
    before, told = shop.job(job_id), shop.events(job_id)
    with shop.database.begin() as session:
        assert not WRITES[what](JobRepository(session), job_id, old)
    after = shop.job(job_id)
    columns = before.__table__.columns.keys()
    names = ["metadata_" if name == "metadata" else name for name in columns]
    assert {n: getattr(after, n) for n in names} == {n: getattr(before, n) for n in names}
    assert shop.events(job_id) == told
    with shop.database.begin() as session:
        assert WRITES[what](JobRepository(session), job_id, new), "the holder of the lease can"


def test_an_expired_lease_that_nobody_took_is_still_held(shop: Shop):
    # A worker that was slow, and not dead, loses nothing while nobody waits for its job.
    job_id = shop.submit(ring=False)
    fence = claim(shop, job_id, lease_seconds=-1)
    assert fence is not None
    with shop.database.begin() as session:
        assert JobRepository(session).leases.renew(job_id, fence, 60)
    with shop.database.begin() as session:
        assert JobRepository(session).leases.requeue_expired() == []


def test_renewing_brings_back_that_a_cancel_was_asked_for(shop: Shop):
    job_id = shop.submit(ring=False)
    fence = claim(shop, job_id)
    assert fence is not None
    shop.cancel(job_id)
    with shop.database.begin() as session:
        lease = JobRepository(session).leases.renew(job_id, fence, 60)
    assert lease is not None
    assert lease.cancel_requested


def test_a_job_that_is_given_back_costs_no_attempt_and_says_why_it_waits(shop: Shop):
    job_id = shop.submit(ring=False)
    fence = claim(shop, job_id)
    assert fence is not None
    with shop.database.begin() as session:
        assert JobRepository(session).leases.release(job_id, fence)
    job = shop.job(job_id)
    assert (job.status, job.attempt, job.owner) == ("queued", 0, None)
    assert job.status_reason == "worker shut down"


def test_a_heartbeat_must_beat_before_its_lease_ends(tmp_path: Path):
    with pytest.raises(ValueError, match="heartbeat_seconds must be less than lease_seconds"):
        Settings(data_dir=tmp_path, lease_seconds=5, heartbeat_seconds=5)
