"""What the health endpoints ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from service.api.application import Application
from service.api.health.schemas import Check, Readiness, ReadinessStatus, Workers
from service.api.jobs.schemas import Status
from service.api.metrics import JobCounts
from service.store.base import now
from service.store.jobs.repository import JobRepository

NEEDED = ("database", "artifacts")  # without these no request can be answered
NO_ARTIFACT = "0" * 64


def readiness(application: Application) -> Readiness:
    """Check every part; a part that fails says why."""
    alive = application.notifier.workers_alive()
    broker = Check(ok=True) if alive is not None else Check(ok=False, detail="does not answer")
    checks = {
        "database": _check(lambda: count_jobs(application)),
        "artifacts": _check(lambda: application.artifacts.exists(NO_ARTIFACT)),
        "broker": broker,
    }
    if alive:
        checks["job_limits"] = _job_limits(application)
    workers = Workers(alive=alive, any_alive=bool(alive))
    return Readiness(status=_status(checks, workers), checks=checks, workers=workers)


def _job_limits(application: Application) -> Check:
    """Say which limits of jobs stand at all workers, and which do not at some."""
    try:
        lacking = application.notifier.limits_missing()
    except Exception as error:
        return Check(ok=False, detail=type(error).__name__)
    lacks = sorted({one for told in lacking.values() for one in told})
    return Check(ok=not lacks, detail="; ".join(f"no limit of {one}" for one in lacks) or None)


def _status(checks: dict[str, Check], workers: Workers) -> ReadinessStatus:
    if not all(checks[name].ok for name in NEEDED):
        return "unavailable"
    return "ready" if checks["broker"].ok and workers.any_alive else "degraded"


def _check(ask: Callable[[], object]) -> Check:
    try:
        ask()
    except Exception as error:
        # The kind of error only: its text may hold addresses and passwords.
        return Check(ok=False, detail=type(error).__name__)
    return Check(ok=True)


def count_jobs(application: Application) -> JobCounts:
    """Count the jobs by status, and find the age of the oldest that waits."""
    with application.database.read() as session:
        jobs = JobRepository(session)
        counts, oldest = jobs.count_by_status(), jobs.oldest_queued_at()
    by_status = {status: counts.get(status, 0) for status in get_args(Status)}
    return JobCounts(by_status, (now() - oldest).total_seconds() if oldest else 0.0)
