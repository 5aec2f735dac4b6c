"""Processes that are killed in the middle of a job: it ends `succeeded`, exactly once."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import brokers
from tests.support.running_service import command_line, descendants, is_alive
from tests.support.working import Shop, impatient, running_worker

SLOW = {"steps": 16, "seconds": 0.25}


@pytest.fixture(params=["embedded", "redis-server"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """Records, and the queue that the worker brings along, or one that runs on its own."""
    if request.param == "embedded":
        yield Shop(impatient(tmp_path / "data"))
        return
    with brokers.redis_server(tmp_path / "redis") as url:
        yield Shop(impatient(tmp_path / "data", broker_url=url))


def submit_slow(shop: Shop, journal: Path) -> str:
    # The embedded queue may not be up yet: the reaper rings then.
    return shop.submit(ring=False, journal=str(journal), **SLOW)


def assert_succeeded_once(shop: Shop, job_id: str, journal: Path, attempts: int) -> None:
    job, told = shop.ended(job_id), journal.read_text().splitlines()
    assert (job.status, job.attempt) == ("succeeded", attempts), job.error
    assert told.count("end") == 1
    assert shop.events(job_id).count("job.succeeded") == 1
    assert shop.events(job_id).count("job.started") == attempts
    starts = [int(line.split()[1]) for line in told if line.startswith("start")]
    assert len(starts) == attempts
    assert all(start > 0 for start in starts[1:]), "it went on from its checkpoint"
    candidates = shop.candidates(job_id)
    assert [one.index for one in candidates] == list(range(SLOW["steps"]))
    assert sum(one.chosen for one in candidates) == 1


def test_a_worker_that_is_killed_takes_all_its_processes_along_and_another_goes_on(
    anywhere: Shop, tmp_path: Path
):
    journal = tmp_path / "journal"
    with running_worker(anywhere.settings) as worker:
        job_id = submit_slow(anywhere, journal)
        anywhere.at_work(job_id)
        family = descendants(worker.process.pid)
        assert worker.engine() in family
        worker.kill()
        anywhere.until(lambda: not any(is_alive(number) for number in family))
    with running_worker(anywhere.settings):
        assert_succeeded_once(anywhere, job_id, journal, attempts=2)


def test_a_pool_process_that_is_killed_is_replaced_and_takes_the_engine_along(
    anywhere: Shop, tmp_path: Path
):
    journal = tmp_path / "journal"
    with running_worker(anywhere.settings) as worker:
        job_id = submit_slow(anywhere, journal)
        anywhere.at_work(job_id)
        engine = worker.engine()
        os.kill(worker.pool_process(), signal.SIGKILL)
        anywhere.until(lambda: not is_alive(engine))
        assert_succeeded_once(anywhere, job_id, journal, attempts=2)


def test_an_engine_that_is_killed_is_started_again(anywhere: Shop, tmp_path: Path):
    journal = tmp_path / "journal"
    with running_worker(anywhere.settings) as worker:
        job_id = submit_slow(anywhere, journal)
        anywhere.at_work(job_id)
        os.kill(worker.engine(), signal.SIGKILL)
        assert_succeeded_once(anywhere, job_id, journal, attempts=2)


def test_a_queue_that_is_killed_and_comes_back_empty_loses_no_job(tmp_path: Path):
    shop = Shop(impatient(tmp_path / "data"))
    with running_worker(shop.settings) as worker:
        jobs = [shop.submit(ring=False, **SLOW), shop.submit(ring=False, steps=2)]
        shop.at_work(jobs[0])
        (server,) = [
            one for one in descendants(worker.process.pid) if "valkey" in command_line(one)
        ]
        os.kill(server, signal.SIGKILL)
        assert [shop.ended(job_id).status for job_id in jobs] == ["succeeded", "succeeded"]
        assert [shop.job(job_id).attempt for job_id in jobs] == [1, 1]


def test_a_worker_that_froze_and_lost_its_job_writes_nothing_when_it_wakes(
    shop: Shop, broker: str, tmp_path: Path
):
    journal = tmp_path / "journal"
    elsewhere = impatient(
        tmp_path / "elsewhere",
        broker_url=broker,
        database_url=shop.settings.database_url,
        artifacts_url=shop.settings.artifacts_url,
    )
    with running_worker(elsewhere) as worker:
        job_id = shop.submit(journal=str(journal), **SLOW)
        shop.at_work(job_id)
        frozen = worker.pool_process()
        with shop.frozen(frozen), running_worker(shop.settings):
            job = shop.ended(job_id)
        told = shop.events(job_id)
        shop.until(lambda: f"{job_id}: lease lost" in worker.log.read_text())
    assert (job.status, job.attempt) == ("succeeded", 2)
    assert shop.events(job_id) == told
    assert shop.job(job_id).finished_at == job.finished_at
    assert sum(one.chosen for one in shop.candidates(job_id)) == 1
