"""What the data set endpoints do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from sqlalchemy.orm import Session

from service.api.context import Context
from service.api.datasets.schemas import DatasetFields
from service.api.idempotency import once
from service.api.pagination import Cursor
from service.api.schemas import timestamp
from service.api.uploads.receive import Received
from service.errors import NotFound
from service.store.datasets.records import DatasetRecord
from service.store.datasets.repository import DatasetRepository
from service.store.ids import is_id


def create(
    context: Context, received: Received[DatasetFields], key: str | None
) -> tuple[dict[str, Any], bool]:
    """Record a stored file as a data set; return it as shown, and whether it is an old answer."""
    fields = received.fields

    def make(session: Session) -> dict[str, Any]:
        record = DatasetRepository(session).add(
            name=fields.name,
            file_name=received.file_name,
            sha256=received.sha256,
            size_bytes=received.size_bytes,
            metadata=fields.metadata,
            label=fields.label,
            preprocessing=_said(fields.preprocessing),
            labels=_said(fields.labels),
            seen_by_original=fields.seen_by_original,
            rows_axis=fields.rows_axis,
        )
        context.quotas.require_bytes(session)
        return show(record)

    return once(context, key, "POST /v1/datasets", received.fingerprint(), make)


def _said(given: BaseModel | None) -> dict[str, Any] | None:
    return given.model_dump(mode="json", exclude_unset=True, exclude_none=True) if given else None


def get(context: Context, dataset_id: str) -> DatasetRecord:
    """Return a data set. Raises NotFound."""
    with context.database.read() as session:
        known = is_id(dataset_id, "ds_")
        dataset = DatasetRepository(session).get(dataset_id) if known else None
        if dataset is None:
            raise NotFound(f"There is no data set {dataset_id!r}.")
        return dataset


def find(context: Context, cursor: Cursor) -> Sequence[DatasetRecord]:
    """Return one row more than the page holds where there is a next one."""
    with context.database.read() as session:
        return DatasetRepository(session).list(
            after=cursor.after_id("ds_"), limit=cursor.limit + 1, order=cursor.order
        )


def show(dataset: DatasetRecord) -> dict[str, Any]:
    """Return the data set as `service.api.datasets.schemas.Dataset` documents it."""
    path = f"/v1/datasets/{dataset.id}"
    return {
        "id": dataset.id,
        "object": "dataset",
        "name": dataset.name,
        "file_name": dataset.file_name,
        "sha256": dataset.sha256,
        "size_bytes": dataset.size_bytes,
        "label": dataset.label,
        "preprocessing": dataset.preprocessing,
        "labels": dataset.labels,
        "seen_by_original": dataset.seen_by_original,
        "rows_axis": dataset.rows_axis,
        "metadata": dataset.metadata_,
        "created_at": timestamp(dataset.created_at),
        "links": {"self": path, "file": f"{path}/file"},
    }
