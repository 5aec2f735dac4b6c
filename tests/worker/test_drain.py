"""SIGTERM: the worker is gone in seconds, its job waits again, and goes on where it was."""

import time
from pathlib import Path

from tests.support.running_service import descendants, is_alive
from tests.support.working import Shop, running_worker

SECONDS = 20.0
ENDED_BY_SIGNAL = {0, 143}


def test_a_worker_without_a_job_ends_at_once(shop: Shop):
    with running_worker(shop.settings) as worker:
        shop.until(lambda: shop.notifier.workers_alive() == 1)
        shop.ended(shop.submit())
        family = descendants(worker.process.pid)
        asked = time.monotonic()
        assert worker.terminate() in ENDED_BY_SIGNAL
        assert time.monotonic() - asked < SECONDS
        shop.until(lambda: not any(is_alive(number) for number in family))
    assert shop.notifier.workers_alive() == 0


def test_a_job_at_work_goes_back_with_its_checkpoint_and_costs_no_attempt(
    shop: Shop, tmp_path: Path
):
    journal = tmp_path / "journal"
    job_id = shop.submit(steps=12, seconds=0.3, journal=str(journal))
    with running_worker(shop.settings) as worker:
        shop.at_work(job_id)
        family = descendants(worker.process.pid)
        asked = time.monotonic()
        assert worker.terminate() in ENDED_BY_SIGNAL
        assert time.monotonic() - asked < SECONDS
        shop.until(lambda: not any(is_alive(number) for number in family))
    job = shop.job(job_id)
    assert (job.status, job.attempt, job.status_reason) == ("queued", 0, "worker shut down")
    assert shop.settings.scratch_dir(job_id).exists()
    assert shop.notifier.pending("cpu") >= 1, "another worker is woken at once"
    with running_worker(shop.settings):
        job = shop.ended(job_id)
    assert (job.status, job.attempt) == ("succeeded", 1)
    told = journal.read_text().splitlines()
    first, second = (int(line.split()[1]) for line in told if line.startswith("start"))
    assert first == 0
    assert second > 0
    assert told.count("end") == 1


def test_a_job_that_is_being_cancelled_while_its_worker_stops_is_cancelled(shop: Shop):
    job_id = shop.submit(act="hang")
    with running_worker(shop.settings) as worker:
        shop.at_work(job_id)
        shop.cancel(job_id)
        worker.terminate()
    assert shop.job(job_id).status == "cancelled"
