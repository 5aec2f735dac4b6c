"""What goes wrong inside the engine stays inside its process, and the job says what it was."""

import pytest

from tests.support.working import Shop


def test_an_error_that_the_engine_names_fails_the_job_at_once(staffed: Shop):
    job = staffed.ended(staffed.submit(act="invalid"))
    assert (job.status, job.attempt) == ("failed", 1)
    assert job.error is not None
    assert job.error["code"] == "model-invalid"
    assert job.error["pointer"] == "#/model"
    assert job.error["retryable"] is False


@pytest.mark.parametrize("act", ["crash", "bug"])
def test_a_crash_is_tried_again_and_then_fails_as_internal(staffed: Shop, act):
    job = staffed.ended(staffed.submit(act=act))
    assert (job.status, job.attempt) == ("failed", staffed.settings.max_attempts)
    assert job.error is not None
    assert job.error["code"] == "internal"
    assert ("ZeroDivisionError" if act == "bug" else "exit code 3") in job.error["detail"]


@pytest.mark.parametrize("act", ["crash-once", "kill-once", "lose-a-rank-once"])
def test_an_engine_that_dies_once_costs_one_attempt_and_goes_on_from_its_checkpoint(
    staffed: Shop, act, tmp_path
):
    journal = tmp_path / "journal"
    job = staffed.ended(staffed.submit(act=act, at=2, journal=str(journal)))
    assert (job.status, job.attempt) == ("succeeded", 2)
    told = journal.read_text().splitlines()
    assert [line for line in told if line.startswith("start")] == ["start 0", "start 2"]
    assert told.count("end") == 1
    events = staffed.events(job.id)
    assert events.count("job.succeeded") == 1
    assert events.count("job.candidate_created") == 4


def test_an_engine_that_is_killed_every_time_is_out_of_memory(staffed: Shop):
    job = staffed.ended(staffed.submit(act="kill"))
    assert (job.status, job.attempt) == ("failed", staffed.settings.max_attempts)
    assert job.error is not None
    assert job.error["code"] == "out-of-memory"


def test_python_s_own_lack_of_memory_is_out_of_memory_at_once(staffed: Shop):
    job = staffed.ended(staffed.submit(act="lack-memory"))
    assert (job.status, job.attempt) == ("failed", 1)
    assert job.error is not None
    assert job.error["code"] == "out-of-memory"


def test_a_job_over_its_time_limit_is_stopped_and_says_so(staffed: Shop):
    job = staffed.ended(staffed.submit(act="hang", limits={"max_runtime_seconds": 8}))
    assert (job.status, job.attempt) == ("failed", 1)
    assert job.error is not None
    assert job.error["code"] == "timeout"
    assert "8 seconds" in job.error["detail"]
    assert len(staffed.candidates(job.id)) == 1, "what was found before stays"


def test_the_worker_is_as_good_as_before(staffed: Shop):
    assert staffed.ended(staffed.submit()).status == "succeeded"


def test_an_upload_that_is_gone_from_the_store_fails_the_job_and_not_the_worker(staffed: Shop):
    job_id = staffed.submit(ring=False)
    with staffed.without_artifact(staffed.model_sha256(job_id)):
        job = staffed.ended(job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "internal"
