"""A limit that is reached is the job's own error: at once, with limit and use, and never tried again."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.processes.confinement import can_cut_network
from tests.support import brokers
from tests.support.working import Shop, impatient, running_worker

MEMORY, DISK = 1 << 30, 64 << 20


@pytest.fixture(scope="module")
def caged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Records, a queue, and a worker whose jobs may take little."""
    folder = tmp_path_factory.mktemp("caged")
    with brokers.valkey(folder / "broker") as url:
        settings = impatient(
            folder / "data",
            broker_url=url,
            max_job_memory_bytes=MEMORY,
            max_job_disk_bytes=DISK,
            max_job_open_files=500,
            max_job_processes=8,
            max_job_cpu_seconds=5,
        )
        shop = Shop(settings)
        with running_worker(settings):
            yield shop


@pytest.mark.parametrize(
    ("act", "code", "limit"),
    [
        ("take-memory", "out-of-memory", f"{MEMORY:,}"),
        ("spread-memory", "out-of-memory", f"{MEMORY:,}"),
        ("burn", "timeout", "5 processor seconds"),
        ("write-files", "too-much-disk", f"{DISK:,}"),
        ("write-nameless", "too-much-disk", f"{DISK:,}"),
        ("write-one-large", "too-much-disk", f"{DISK:,}"),
        ("open-files", "limit-reached", "500"),
        ("start-processes", "limit-reached", "at most 8"),
    ],
)
def test_a_limit_ends_the_job_at_its_first_attempt_and_is_named(caged: Shop, act, code, limit):
    job = caged.ended(caged.submit(act=act))
    assert (job.status, job.attempt) == ("failed", 1)
    assert job.error is not None
    assert job.error["code"] == code
    assert limit in job.error["detail"]
    assert job.error["retryable"] is False


def test_the_time_limit_is_for_all_attempts_together(caged: Shop):
    job = caged.ended(caged.submit(act="burn-and-die", limits={"max_runtime_seconds": 5}))
    assert job.error is not None
    assert job.error["code"] == "timeout"
    assert "5 seconds" in job.error["detail"]
    assert job.attempt == 2, "the first died after three seconds"


def test_a_job_knows_no_password_and_has_no_network(caged: Shop, tmp_path):
    journal = tmp_path / "journal"
    job = caged.ended(caged.submit(act="look-around", journal=str(journal)))
    assert job.status == "succeeded"
    told = next(line for line in journal.read_text().splitlines() if line.startswith("{"))
    seen = json.loads(told)
    broker = str(caged.settings.broker_url)
    assert not any(broker in value for value in seen["environment"].values())
    for names in (seen["environment"], seen["parent"]):
        assert not [one for one in names if one.startswith("EIGENPRESS_") and "DATASET" not in one]
    assert seen["no_new_privileges"]
    assert Path(seen["temporary"]).is_relative_to(caged.settings.scratch_dir(job.id))
    if can_cut_network():
        assert seen["devices"] == ["lo"]


def test_what_a_job_leaves_behind_in_a_session_of_its_own_ends_with_it(caged: Shop, tmp_path):
    journal = tmp_path / "journal"
    caged.ended(caged.submit(act="leave-a-session", journal=str(journal)))
    told = next(line for line in journal.read_text().splitlines() if line.startswith("left"))
    caged.until(lambda: not _runs(int(told.split()[1])), 10)


def test_the_worker_is_as_good_as_before(caged: Shop):
    assert caged.ended(caged.submit()).status == "succeeded"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
