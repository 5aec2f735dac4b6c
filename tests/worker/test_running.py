"""A job from its message to its result, by a worker in a process of its own."""

import pytest

from service.processes.confinement import limits_missing
from tests.support.working import MODEL, Shop


def test_a_job_that_is_rung_for_ends_with_candidates_a_choice_and_reports(staffed: Shop):
    job = staffed.ended(staffed.submit(steps=3))
    assert (job.status, job.outcome, job.attempt) == ("succeeded", "target_met", 1)
    assert job.error is None
    candidates = staffed.candidates(job.id)
    assert [staffed.read(one.sha256) for one in candidates] == [
        MODEL + bytes([i]) for i in range(3)
    ]
    assert [one.chosen for one in candidates] == [False, False, True]
    assert job.chosen_candidate_id == candidates[-1].id
    assert b'"outcome"' in staffed.read(job.report_json_sha256)
    assert b"<html" in staffed.read(job.report_html_sha256)
    assert staffed.read(job.report_csv_sha256)


def test_the_result_sums_up_what_the_report_says(staffed: Shop):
    job = staffed.ended(staffed.submit(steps=3))
    assert job.result is not None
    metrics = job.result["metrics"]
    assert metrics["baseline"]["accuracy"] == pytest.approx(0.9)
    assert metrics["compressed"]["accuracy"] == pytest.approx(0.8)
    assert metrics["delta"]["accuracy"] == pytest.approx(-0.1)
    files = {file["name"]: file["sha256"] for file in job.result["artifacts"]}
    assert staffed.read(files["model.onnx"]) == MODEL + bytes([2])
    assert files["report.html"] == job.report_html_sha256


def test_the_events_tell_the_whole_story_in_order(staffed: Shop):
    job = staffed.ended(staffed.submit(steps=3))
    told = staffed.events(job.id)
    assert told[:3] == ["job.queued", "job.started", "job.stage_changed"]
    assert told[-1] == "job.succeeded"
    assert told.count("job.candidate_created") == 3
    assert {"job.progress", "job.metrics"} <= set(told)


def test_progress_tells_stage_and_step_and_keeps_the_last_step_to_the_end(staffed: Shop):
    job = staffed.ended(staffed.submit(steps=3))
    assert job.progress is not None
    assert (job.stage, job.progress["fraction"]) == ("reporting", 1.0)
    assert (job.progress["step"], job.progress["total_steps"]) == (2, 3)
    told = [event.data for event in staffed.told(job.id) if event.type == "job.progress"]
    assert [one["fraction"] for one in told] == sorted(one["fraction"] for one in told)
    assert told
    assert {one["stage"] for one in told} <= {"training", "exporting", "reporting"}


def test_what_a_job_has_cost_is_recorded(staffed: Shop):
    job = staffed.ended(staffed.submit())
    assert job.usage is not None
    assert 0 < job.usage["cpu_seconds"] < 60
    assert job.usage["peak_memory_bytes"] > 10_000_000
    assert "gpu_seconds" not in job.usage


def test_the_folder_of_a_job_is_gone_when_the_job_has_ended(staffed: Shop):
    for act in (None, "invalid"):
        job = staffed.ended(staffed.submit(act=act))
        # The row is written first: a folder that is left over can be swept, a lost result cannot.
        staffed.until(lambda job=job: not staffed.settings.scratch_dir(job.id).exists())


def test_the_job_of_highest_priority_runs_first_whatever_the_order_of_messages(staffed: Shop):
    blocker = staffed.submit(steps=20, seconds=0.2)
    staffed.at_work(blocker)
    low, high = staffed.submit(priority=-1), staffed.submit(priority=5)
    first, second = staffed.ended(high), staffed.ended(low)
    assert first.finished_at is not None
    assert second.started_at is not None
    assert first.finished_at <= second.started_at


def test_many_messages_for_one_job_run_it_once(staffed: Shop, tmp_path):
    journal = tmp_path / "journal"
    job_id = staffed.submit(journal=str(journal))
    for _ in range(5):
        staffed.notifier.notify(job_id, "cpu")
    job = staffed.ended(job_id)
    staffed.until(lambda: staffed.notifier.pending("cpu") == 0)
    assert journal.read_text().splitlines().count("start 0") == 1
    assert (job.status, job.attempt) == ("succeeded", 1)


def test_a_message_for_a_job_that_does_not_exist_does_no_harm(staffed: Shop):
    staffed.notifier.notify("job_00000000-0000-7000-8000-000000000000", "cpu")
    assert staffed.ended(staffed.submit()).status == "succeeded"


def test_jobs_of_the_other_queue_run_too(staffed: Shop):
    job = staffed.ended(staffed.submit(queue="gpu"))
    assert job.status == "succeeded"
    assert job.usage is not None
    assert job.usage["gpu_seconds"] > 0


def test_a_worker_says_that_it_lives(staffed: Shop):
    staffed.until(lambda: staffed.notifier.workers_alive() == 1)
    assert list(staffed.notifier.limits_missing().values()) == [limits_missing()]
