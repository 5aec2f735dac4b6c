"""The idempotency table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from service.store.base import Base
from service.store.tenancy import DEFAULT_TENANT, OfTenant


class IdempotencyRecord(OfTenant, Base):
    """The answer to the first request that came with a key."""

    __tablename__ = "idempotency"

    # Two tenants may think of the same key.
    tenant: Mapped[str] = mapped_column(String(63), primary_key=True, default=DEFAULT_TENANT)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    response: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)
