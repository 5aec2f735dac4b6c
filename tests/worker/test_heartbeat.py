"""The lease of a job at work: renewed beside the work, and given up when it cannot be renewed."""

import threading
from pathlib import Path

import pytest

from service.store.jobs.repository import JobRepository
from tests.support.working import Shop, impatient
from worker.heartbeat import Heartbeat

NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(impatient(tmp_path, broker_url=NOBODY, lease_seconds=1.5, heartbeat_seconds=0.1))


@pytest.fixture
def lease(shop: Shop) -> tuple[str, int]:
    """A job and the token under which it is held."""
    job_id = shop.submit(ring=False)
    with shop.database.begin() as session:
        fence = JobRepository(session).leases.claim(job_id, "here", shop.settings.lease_seconds)
    assert fence is not None
    return job_id, fence


def beating(shop: Shop, lease: tuple[str, int]) -> Heartbeat:
    return Heartbeat(shop.settings, shop.database, *lease)


def test_a_lease_is_renewed_for_as_long_as_the_work_takes(shop: Shop, lease):
    first = shop.job(lease[0]).lease_until
    assert first is not None
    with beating(shop, lease) as heartbeat:
        shop.until(lambda: (shop.job(lease[0]).lease_until or first) > first)
        assert not heartbeat.lost
    # Nobody beats any more when the block has ended.
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_a_cancel_is_heard(shop: Shop, lease):
    with beating(shop, lease) as heartbeat:
        assert not heartbeat.cancel_requested
        shop.cancel(lease[0])
        shop.until(lambda: heartbeat.cancel_requested)
        assert not heartbeat.lost


def test_a_lease_that_another_took_is_lost(shop: Shop, lease):
    with beating(shop, lease) as heartbeat:
        with shop.database.begin() as session:
            jobs = JobRepository(session)
            assert jobs.leases.release(*lease)
            assert jobs.leases.claim(lease[0], "there", 60)
        shop.until(lambda: heartbeat.lost)


def test_a_lease_that_could_not_be_renewed_for_its_whole_length_is_lost(shop: Shop, lease):
    with beating(shop, lease) as heartbeat, shop.database.begin() as session:
        # Another writer holds SQLite's only write lock.
        JobRepository(session).leases.holds(*lease)
        shop.until(lambda: heartbeat.lost, seconds=20)
        session.rollback()
