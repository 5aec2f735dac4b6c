"""Analyses that were asked for before: model and data set never change, so neither does what one finds."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from sqlalchemy.orm import Session

from service.api.json_text import encode
from service.errors import CATALOGUE
from service.store.base import now
from service.store.jobs.records import JobRecord
from service.store.jobs.repository import JobRepository

KIND = "analysis"
MARK = "asked"
# A failure of the machine is told for so long to who asks again, and then tried anew.
REMEMBERED = timedelta(seconds=60)
SERVER_ERROR = 500


def mark(asked: dict[str, Any]) -> dict[str, str]:
    """Return what a row is found by: the digest of all that was asked, and of this version, which answers it."""
    digest = hashlib.sha256(encode([version("eigenpress"), sorted(asked.items())])).hexdigest()
    return {MARK: digest}


def find(session: Session, asked: dict[str, Any]) -> JobRecord | None:
    """Return the latest analysis of just this, where what it says or will say still holds."""
    rows = JobRepository(session).list(
        kind=KIND, model_id=asked["model"], metadata=mark(asked), limit=1
    )
    return rows[0] if rows and _holds(rows[0]) else None


def _holds(row: JobRecord) -> bool:
    if row.error is None or row.finished_at is None:
        return True
    status, _ = CATALOGUE.get(str(row.error.get("code")), CATALOGUE["internal"])
    return status < SERVER_ERROR or row.finished_at > now() - REMEMBERED
