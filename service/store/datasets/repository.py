"""All SQL on data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.base import now
from service.store.datasets.records import DatasetRecord
from service.store.ids import new_id
from service.store.paging import Order, page


class DatasetRepository:
    """Uploaded data sets."""

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
        label: str | None = None,
        preprocessing: dict[str, Any] | None = None,
        labels: dict[str, Any] | None = None,
        seen_by_original: bool | Sequence[str] | None = None,
        rows_axis: int | dict[str, int | None] | None = None,
    ) -> DatasetRecord:
        """Record an artifact as a data set."""
        record = DatasetRecord(
            id=new_id("ds_"),
            name=name,
            file_name=file_name,
            sha256=sha256,
            size_bytes=size_bytes,
            metadata_=metadata or {},
            label=label,
            preprocessing=preprocessing,
            labels=labels,
            seen_by_original=_as_json(seen_by_original),
            rows_axis=rows_axis,
            created_at=now(),
        )
        self.session.add(record)
        self.session.flush()
        return record

    def get(self, dataset_id: str) -> DatasetRecord | None:
        """Return a data set, or None."""
        return self.session.get(DatasetRecord, dataset_id)

    def list(
        self, *, after: str | None = None, limit: int = 20, order: Order = "desc"
    ) -> Sequence[DatasetRecord]:
        """Return the data sets that follow `after`."""
        query = page(select(DatasetRecord), DatasetRecord.id, after, limit, order)
        return self.session.scalars(query).all()


def _as_json(said: bool | Sequence[str] | None) -> bool | list[str] | None:
    return said if said is None or isinstance(said, bool) else list(said)
