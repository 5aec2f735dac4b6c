"""How many jobs of a tenant run: those over the limit wait, and others are taken before them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import aliased

from service.store.jobs.records import HELD, JobRecord


def busy_tenants(max_running: int) -> Select[Any]:
    """Return a query for the tenants that must wait."""
    running = aliased(JobRecord)
    return (
        select(running.tenant)
        .where(running.status.in_(HELD))
        .group_by(running.tenant)
        .having(func.count() >= max_running)
    )


def has_room(max_running: int | None) -> list[ColumnElement[bool]]:
    """Return the condition under which a job may start, beside those that run of its tenant."""
    return [] if max_running is None else [JobRecord.tenant.not_in(busy_tenants(max_running))]
