"""All SQL on models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.base import now
from service.store.ids import new_id
from service.store.models.records import ModelRecord
from service.store.paging import Order, page


class ModelRepository:
    """Uploaded models."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(
        self,
        *,
        name: str | None,
        file_name: str | None,
        sha256: str,
        size_bytes: int,
        metadata: dict[str, str] | None = None,
        external: Sequence[dict[str, Any]] = (),
    ) -> ModelRecord:
        """Record an artifact as a model."""
        record = ModelRecord(
            id=new_id("mdl_"),
            name=name,
            file_name=file_name,
            sha256=sha256,
            size_bytes=size_bytes,
            metadata_=metadata or {},
            external=[*external],
            created_at=now(),
        )
        self.session.add(record)
        self.session.flush()
        return record

    def get(self, model_id: str) -> ModelRecord | None:
        """Return a model, or None."""
        return self.session.get(ModelRecord, model_id)

    def list(
        self, *, after: str | None = None, limit: int = 20, order: Order = "desc"
    ) -> Sequence[ModelRecord]:
        """Return the models that follow `after`."""
        query = page(select(ModelRecord), ModelRecord.id, after, limit, order)
        return self.session.scalars(query).all()
