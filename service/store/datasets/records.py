"""The datasets table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from service.store.base import Base
from service.store.tenancy import OfTenant


class DatasetRecord(OfTenant, Base):
    """An uploaded data set; its bytes are the artifact `sha256`."""

    __tablename__ = "datasets"
    __table_args__ = (Index(None, "tenant", "id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(200))
    file_name: Mapped[str | None] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    label: Mapped[str | None] = mapped_column(String(200))
    preprocessing: Mapped[dict[str, Any] | None]
    labels: Mapped[dict[str, Any] | None]
    # True, False, or names of splits; null where nothing is said.
    seen_by_original: Mapped[bool | list[str] | None] = mapped_column(JSON(none_as_null=True))
    # An axis, or one by input; null where nothing is said.
    rows_axis: Mapped[int | dict[str, int | None] | None] = mapped_column(JSON(none_as_null=True))
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata")
    created_at: Mapped[datetime]
