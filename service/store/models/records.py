"""The models table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from service.store.base import Base
from service.store.tenancy import OfTenant


class ModelRecord(OfTenant, Base):
    """An uploaded model; its bytes are the artifact `sha256`.

    `external` lists the files of its external data, each with `name`, `sha256` and `size_bytes`.
    """

    __tablename__ = "models"
    __table_args__ = (Index(None, "tenant", "id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(200))
    file_name: Mapped[str | None] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    external: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata")
    created_at: Mapped[datetime]
