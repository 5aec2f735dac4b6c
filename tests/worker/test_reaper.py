"""What the reaper brings back: jobs of dead workers, and messages that never arrived."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from service.store.base import now
from service.store.jobs.records import JobRecord
from service.store.jobs.repository import JobRepository
from tests.support.brokers import flush
from tests.support.working import Shop, running_worker
from worker.reaper import Reaper
from worker.workspace import Workspace


@pytest.fixture
def reaper(shop: Shop) -> Reaper:
    return Reaper(shop.settings, shop.database, shop.notifier, "this worker")


def abandon(shop: Shop, job_id: str, lease_seconds: float = -1) -> int:
    """Claim a job and never come back; return the token."""
    with shop.database.begin() as session:
        fence = JobRepository(session).leases.claim(job_id, "a worker that died", lease_seconds)
    assert fence is not None
    return fence


def grow_old(shop: Shop, seconds: float = 60) -> None:
    """Let every job have waited for so long."""
    with shop.database.begin() as session:
        session.execute(update(JobRecord).values(queued_at=now() - timedelta(seconds=seconds)))


def test_a_job_whose_lease_ran_out_waits_again_and_is_rung_for(shop: Shop, reaper: Reaper):
    job_id = shop.submit(ring=False)
    abandon(shop, job_id)
    assert reaper.requeue() == [job_id]
    job = shop.job(job_id)
    assert (job.status, job.owner, job.lease_until) == ("queued", None, None)
    assert shop.events(job_id)[-1] == "job.requeued"
    assert shop.notifier.pending("cpu") == 1


def test_a_job_whose_lease_runs_is_left_alone(shop: Shop, reaper: Reaper):
    job_id = shop.submit(ring=False)
    abandon(shop, job_id, lease_seconds=60)
    assert reaper.requeue() == []
    assert shop.job(job_id).status == "running"


def test_a_job_that_loses_every_worker_ends_as_worker_lost(shop: Shop, reaper: Reaper):
    job_id = shop.submit(ring=False)
    for attempt in range(shop.settings.max_attempts):
        assert shop.job(job_id).status == "queued", f"before attempt {attempt + 1}"
        abandon(shop, job_id)
        reaper.requeue()
    job = shop.job(job_id)
    assert (job.status, job.attempt) == ("failed", shop.settings.max_attempts)
    assert job.error is not None
    assert job.error["code"] == "worker-lost"
    assert shop.events(job_id)[-1] == "job.failed"


def test_a_job_that_was_being_cancelled_when_its_worker_died_is_cancelled(
    shop: Shop, reaper: Reaper
):
    job_id = shop.submit(ring=False)
    abandon(shop, job_id)
    shop.cancel(job_id)
    assert reaper.requeue() == []
    assert shop.job(job_id).status == "cancelled"


def test_two_reapers_do_once_what_both_see(shop: Shop, reaper: Reaper):
    jobs = [shop.submit(ring=False) for _ in range(5)]
    for job_id in jobs:
        abandon(shop, job_id)
    other = Reaper(shop.settings, shop.database, shop.notifier, "another worker")
    assert sorted([*reaper.requeue(), *other.requeue()]) == sorted(jobs)
    assert all(shop.events(job_id).count("job.requeued") == 1 for job_id in jobs)


def test_waiting_jobs_without_a_message_are_rung_for_and_no_more_than_there_are(
    shop: Shop, reaper: Reaper
):
    for _ in range(3):
        shop.submit(ring=False)
    shop.submit(ring=True)
    grow_old(shop)
    for _ in range(4):
        reaper.notify_again()
        assert shop.notifier.pending("cpu") == 4


def test_a_job_that_has_just_come_is_not_rung_for_twice(shop: Shop, reaper: Reaper):
    shop.submit(ring=False)
    reaper.notify_again()
    assert shop.notifier.pending("cpu") == 0


def test_each_queue_is_counted_for_itself(shop: Shop, reaper: Reaper):
    shop.submit(ring=True, queue="cpu")
    shop.submit(ring=False, queue="gpu")
    grow_old(shop)
    reaper.notify_again()
    assert (shop.notifier.pending("cpu"), shop.notifier.pending("gpu")) == (1, 1)


def test_folders_of_ended_jobs_are_swept_and_no_others(shop: Shop, reaper: Reaper):
    ended, waiting, busy = (shop.submit(ring=False) for _ in range(3))
    for name in (ended, waiting, busy, "not-a-job"):
        shop.settings.scratch_dir(name).mkdir(parents=True)
    shop.cancel(ended)
    shop.cancel(busy)
    with Workspace(shop.settings.scratch_dir(busy)).locked(0):
        reaper.sweep()
    left = {path.name for path in shop.settings.scratch_dir("").iterdir()}
    assert left == {waiting, busy, "not-a-job"}


def test_a_worker_is_alive_for_as_long_as_it_says_so(shop: Shop, reaper: Reaper):
    assert shop.notifier.workers_alive() == 0
    with reaper:
        shop.until(lambda: shop.notifier.workers_alive() == 1)
    assert shop.notifier.workers_alive() == 0


def test_a_worker_that_falls_silent_is_forgotten(shop: Shop, reaper: Reaper):
    reaper.tell_alive()
    assert shop.notifier.workers_alive() == 1
    shop.until(lambda: shop.notifier.workers_alive() == 0)


def test_a_job_whose_message_was_lost_runs(shop: Shop):
    with running_worker(shop.settings):
        assert shop.ended(shop.submit(ring=False)).status == "succeeded"


def test_all_jobs_run_although_the_queue_was_flushed_while_they_waited(
    shop: Shop, broker: str, tmp_path
):
    journal = tmp_path / "journal"
    with running_worker(shop.settings):
        jobs = [shop.submit(steps=8, seconds=0.2, journal=str(journal))]
        shop.at_work(jobs[0])
        jobs += [shop.submit(steps=2, journal=str(journal)) for _ in range(3)]
        flush(broker)
        ended = [shop.ended(job_id) for job_id in jobs]
    assert [(job.status, job.attempt) for job in ended] == [("succeeded", 1)] * 4
    told = journal.read_text().splitlines()
    assert (told.count("start 0"), told.count("end")) == (4, 4)
