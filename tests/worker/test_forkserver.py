"""A process of the engine waits for each job, with the imports done; it is a fresh one, whatever went before."""

import os
import re
import resource
import signal
from pathlib import Path

import pytest

from tests.support.digits import save_digits, save_model
from tests.support.fake_engine import SHARED
from tests.support.running_service import command_line, descendants, is_alive
from tests.support.working import Shop, running_worker

SLOW = {"steps": 16, "seconds": 0.25}


def processes_told(journal: Path) -> list[tuple[int, str]]:
    """Return, for each process of the engine, its id and what it found in itself."""
    told = re.findall(r"^process (\d+) finds (.*)$", journal.read_text(), re.MULTILINE)
    return [(int(number), state) for number, state in told]


def test_each_job_has_a_process_of_its_own_that_finds_nothing_of_another(
    staffed: Shop, tmp_path: Path
):
    journal = tmp_path / "journal"
    for word in ("one", "two", "three"):
        job = staffed.ended(staffed.submit(leave=word, journal=str(journal)))
        assert job.status == "succeeded", job.error
    told = processes_told(journal)
    assert len({number for number, _ in told}) == 3
    assert {state for _, state in told} == {"['']"}


def test_jobs_come_from_one_process_that_has_done_the_imports(shop: Shop):
    with running_worker(shop.settings) as worker:
        forkserver = worker.forkserver()
        for _ in range(2):
            job_id = shop.submit(**SLOW)
            shop.at_work(job_id)
            assert worker.forkserver() == forkserver
            assert descendants(forkserver) == [worker.engine()]
            assert shop.ended(job_id).status == "succeeded"
            shop.until(lambda: descendants(forkserver) == [])


def test_what_a_job_has_cost_is_its_own(shop: Shop):
    with running_worker(shop.settings):
        jobs = [shop.ended(shop.submit()) for _ in range(3)]
    spent = [job.usage["cpu_seconds"] for job in jobs]
    assert all(0 < seconds < 5 for seconds in spent)
    assert all(job.usage["peak_memory_bytes"] > 2**20 for job in jobs)


def test_what_a_job_s_own_processes_take_is_added_to_its_memory(shop: Shop):
    with running_worker(shop.settings):
        alone = shop.ended(shop.submit()).usage["peak_memory_bytes"]
        together = shop.ended(shop.submit(act="share-memory")).usage["peak_memory_bytes"]
    assert together > alone + SHARED


def test_a_forkserver_that_is_killed_while_nothing_runs_costs_no_attempt(shop: Shop):
    with running_worker(shop.settings) as worker:
        assert shop.ended(shop.submit()).status == "succeeded"
        killed = worker.forkserver()
        os.kill(killed, signal.SIGKILL)
        shop.until(lambda: not is_alive(killed))
        job = shop.ended(shop.submit())
        assert (job.status, job.attempt) == ("succeeded", 1)
        assert worker.forkserver() != killed


def test_a_forkserver_that_is_killed_beneath_a_job_takes_it_along_and_costs_one_attempt(
    shop: Shop, tmp_path: Path
):
    journal = tmp_path / "journal"
    with running_worker(shop.settings) as worker:
        job_id = shop.submit(journal=str(journal), **SLOW)
        shop.at_work(job_id)
        engine = worker.engine()
        os.kill(worker.forkserver(), signal.SIGKILL)
        shop.until(lambda: not is_alive(engine))
        job = shop.ended(job_id)
    assert (job.status, job.attempt) == ("succeeded", 2)
    assert len(processes_told(journal)) == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_idle_forkserver_ends_with_its_worker(shop: Shop, number):
    with running_worker(shop.settings) as worker:
        forkserver = worker.forkserver()
        family = descendants(worker.process.pid)
        assert forkserver in family
        worker.process.send_signal(number)
        worker.process.wait(30)
        shop.until(lambda: not any(is_alive(one) for one in family))


def test_what_an_engine_has_started_ends_with_it(shop: Shop, tmp_path: Path):
    journal = tmp_path / "journal"
    with running_worker(shop.settings) as worker:
        job = shop.ended(shop.submit(act="leave-a-process", journal=str(journal)))
        assert job.status == "succeeded", job.error
        shop.until(lambda: descendants(worker.forkserver()) == [])
    (left,) = re.findall(r"^left (\d+)$", journal.read_text(), re.MULTILINE)
    assert not is_alive(int(left))


def test_a_limit_of_memory_holds_in_each_job(shop: Shop):
    with running_worker(shop.settings) as worker:
        limit = 2 << 30
        resource.prlimit(worker.forkserver(), resource.RLIMIT_AS, (limit, limit))
        assert shop.ended(shop.submit()).status == "succeeded"
        job = shop.ended(shop.submit(act="take-memory"))
        assert (job.status, job.attempt) == ("failed", 1)
        assert job.error is not None
        assert job.error["code"] == "out-of-memory"
        assert shop.ended(shop.submit()).status == "succeeded"


def test_a_job_can_be_cancelled_while_the_engine_is_still_imported(shop: Shop):
    with running_worker(shop.settings, "tests.support.slow_engine:compress") as worker:
        job_id = shop.submit()
        shop.until(lambda: shop.job(job_id).status == "running")
        forkserver = worker.forkserver()
        shop.cancel(job_id)
        assert shop.ended(job_id).status == "cancelled"
        shop.until(lambda: not is_alive(forkserver))


def test_an_engine_that_cannot_be_imported_fails_the_job_and_not_the_worker(shop: Shop):
    with running_worker(shop.settings, "tests.support.no_such_engine:compress"):
        for _ in range(2):
            job = shop.ended(shop.submit())
            assert (job.status, job.attempt) == ("failed", shop.settings.max_attempts)
            assert job.error is not None
            assert "no_such_engine" in job.error["detail"]


def test_an_engine_whose_imports_start_threads_is_imported_anew_for_each_job(
    shop: Shop, tmp_path: Path
):
    journal = tmp_path / "journal"
    with running_worker(shop.settings, "tests.support.threaded_engine:compress") as worker:
        job_id = shop.submit(journal=str(journal), **SLOW)
        shop.at_work(job_id)
        assert "worker.child" in command_line(worker.engine())
        assert shop.ended(job_id).status == "succeeded"
        assert "start threads" in worker.log.read_text()
    assert journal.read_text().startswith("imported here: True")


@pytest.mark.slow
def test_the_engine_itself_is_forked_with_its_imports_done(shop: Shop, tmp_path: Path):
    model, data = save_model(tmp_path / "m.onnx"), save_digits(tmp_path / "d.npz")
    files = model.read_bytes(), data.read_bytes()
    with running_worker(shop.settings, "spectral_engine:compress") as worker:
        job = shop.ended(shop.submit(files=files, training={"epochs": 1}))
        assert job.status == "succeeded", job.error
        assert "start threads" not in worker.log.read_text()
        threads = list(Path(f"/proc/{worker.forkserver()}/task").iterdir())
        assert len(threads) == 1
