"""All SQL on idempotency keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.store.base import now
from service.store.idempotency.records import IdempotencyRecord

KEPT = timedelta(hours=48)


class IdempotencyRepository:
    """Answers that are kept for requests that are sent again."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def get(self, key: str) -> IdempotencyRecord | None:
        """Return what came under this key, or None when it is new or has expired."""
        query = select(IdempotencyRecord).where(IdempotencyRecord.key == key)
        record = self.session.scalars(query).one_or_none()
        return record if record and record.created_at > now() - KEPT else None

    def add(self, key: str, fingerprint: str, response: dict[str, Any]) -> IdempotencyRecord:
        """Keep an answer; those that have expired go."""
        expired = delete(IdempotencyRecord).where(IdempotencyRecord.created_at <= now() - KEPT)
        self.session.execute(expired)
        record = IdempotencyRecord(
            key=key, fingerprint=fingerprint, response=response, created_at=now()
        )
        self.session.add(record)
        self.session.flush()
        return record
