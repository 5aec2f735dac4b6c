"""What the model endpoints do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from service.api.context import Context
from service.api.idempotency import once
from service.api.models.schemas import ModelFields
from service.api.pagination import Cursor
from service.api.schemas import timestamp
from service.api.uploads.receive import Received
from service.errors import NotFound
from service.store.ids import is_id
from service.store.models.records import ModelRecord
from service.store.models.repository import ModelRepository


def create(
    context: Context, received: Received[ModelFields], key: str | None
) -> tuple[dict[str, Any], bool]:
    """Record a stored file as a model; return it as shown, and whether it is an old answer."""

    def make(session: Session) -> dict[str, Any]:
        record = ModelRepository(session).add(
            name=received.fields.name,
            file_name=received.file_name,
            sha256=received.sha256,
            size_bytes=received.size_bytes,
            metadata=received.fields.metadata,
            external=received.external_json(),
        )
        context.quotas.require_bytes(session)
        return show(record)

    return once(context, key, "POST /v1/models", received.fingerprint(), make)


def get(context: Context, model_id: str) -> ModelRecord:
    """Return a model. Raises NotFound."""
    with context.database.read() as session:
        model = ModelRepository(session).get(model_id) if is_id(model_id, "mdl_") else None
        if model is None:
            raise NotFound(f"There is no model {model_id!r}.")
        return model


def find(context: Context, cursor: Cursor) -> Sequence[ModelRecord]:
    """Return one row more than the page holds where there is a next one."""
    with context.database.read() as session:
        return ModelRepository(session).list(
            after=cursor.after_id("mdl_"), limit=cursor.limit + 1, order=cursor.order
        )


def show(model: ModelRecord) -> dict[str, Any]:
    """Return the model as `service.api.models.schemas.Model` documents it."""
    path = f"/v1/models/{model.id}"
    return {
        "id": model.id,
        "object": "model",
        "name": model.name,
        "file_name": model.file_name,
        "sha256": model.sha256,
        "size_bytes": model.size_bytes,
        "external": model.external,
        "metadata": model.metadata_,
        "created_at": timestamp(model.created_at),
        "links": {"self": path, "file": f"{path}/file"},
    }
