"""Cancelling: in seconds, whatever the job is doing, and what was found so far stays."""

import time

from tests.support.working import Shop, running_worker

SECONDS = 20.0  # heartbeat, grace and polling come to 2; the rest is for a busy machine


def test_a_queued_job_never_starts(shop: Shop):
    job_id = shop.submit()
    assert shop.cancel(job_id).status == "cancelled"
    follower = shop.submit()
    with running_worker(shop.settings):
        assert shop.ended(follower).status == "succeeded"
    job = shop.job(job_id)
    assert (job.status, job.attempt, job.started_at) == ("cancelled", 0, None)
    assert shop.events(job_id) == ["job.queued", "job.cancelled"]


def test_a_running_job_ends_in_seconds_and_keeps_the_best_candidate_so_far(staffed: Shop):
    job_id = staffed.submit(steps=500, seconds=0.2, target={"max_metric_drop": 1.0})
    staffed.until(lambda: len(staffed.candidates(job_id)) >= 2)
    asked = time.monotonic()
    assert staffed.cancel(job_id).status == "cancelling"
    job = staffed.ended(job_id)
    assert time.monotonic() - asked < SECONDS
    assert job.status == "cancelled"
    assert job.cancel_requested_at is not None
    assert job.usage is not None
    candidates = staffed.candidates(job_id)
    (chosen,) = [one for one in candidates if one.chosen]
    assert job.chosen_candidate_id == chosen.id
    assert chosen.nodes == min(one.nodes for one in candidates)
    assert staffed.read(chosen.sha256)
    staffed.until(lambda: not staffed.settings.scratch_dir(job_id).exists())


def test_an_engine_that_does_not_listen_is_killed(staffed: Shop):
    job_id = staffed.submit(act="hang")
    staffed.at_work(job_id)
    asked = time.monotonic()
    staffed.cancel(job_id)
    assert staffed.ended(job_id).status == "cancelled"
    assert time.monotonic() - asked < SECONDS


def test_a_job_that_is_cancelled_and_then_crashes_is_cancelled(staffed: Shop):
    job_id = staffed.submit(act="crash", at=3, steps=8, seconds=0.15)
    staffed.at_work(job_id)
    staffed.cancel(job_id)
    job = staffed.ended(job_id)
    assert job.status == "cancelled"
    assert staffed.events(job_id).count("job.cancelled") == 1


def test_cancelling_twice_is_cancelling_once(staffed: Shop):
    job_id = staffed.submit(steps=500, seconds=0.2)
    staffed.at_work(job_id)
    staffed.cancel(job_id)
    staffed.cancel(job_id)
    staffed.ended(job_id)
    assert staffed.cancel(job_id).status == "cancelled"
    assert staffed.events(job_id).count("job.cancelled") == 1
